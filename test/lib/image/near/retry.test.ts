import { DeadlineError } from "../../../../lib/errors";
import { Retry } from "../../../../lib/image/near/retry";
import { sleep } from "../../../../lib/wait";

const PATIENCE_MS = 400;

describe("trying again", () => {
  const retrying = () => {
    const troubles: string[] = [];
    const retry = new Retry({
      ...{ place: "a site", signal: new AbortController().signal, patienceMs: PATIENCE_MS },
      onTrouble: (problem) => troubles.push(problem),
    });
    return { retry, troubles };
  };
  /** Fails so often, then succeeds. */
  const failing = (times: number) => {
    let left = times;
    return () => (left-- > 0 ? Promise.reject(new Error("the link is down")) : Promise.resolve("done"));
  };

  it("has all its patience left at the first failure, however long nothing was tried before", async () => {
    const { retry, troubles } = retrying();
    await sleep(PATIENCE_MS + 200);
    expect(await retry.run(failing(1))).toBe("done");
    await sleep(PATIENCE_MS + 200);
    expect(await retry.run(failing(1))).toBe("done");
    expect(troubles).toEqual(["the link is down", "the link is down"]);
  });

  it("gives up when its patience has ended since the first failure", async () => {
    const { retry } = retrying();
    const startedAt = Date.now();
    await expect(retry.run(failing(Infinity))).rejects.toThrow(DeadlineError);
    expect(Date.now() - startedAt).toBeGreaterThanOrEqual(PATIENCE_MS);
  });

  it("loses no patience while nothing may be sent", async () => {
    const { retry, troubles } = retrying();
    let tries = 0;
    const attempt = async () => {
      tries++;
      if (tries === 2) {
        retry.setPaused(true);
        await sleep(PATIENCE_MS + 300);
        retry.setPaused(false);
      }
      if (tries < 3) throw new Error("the link is down");
      return "done";
    };
    expect(await retry.run(attempt)).toBe("done");
    expect(troubles).toHaveLength(2);
    retry.setPaused(true);
    const failed = retry.run(failing(Infinity));
    const outcome = failed.catch((error: unknown) => error);
    await sleep(PATIENCE_MS + 600);
    expect(troubles.length).toBeGreaterThan(3);
    retry.setPaused(false);
    expect(await outcome).toBeInstanceOf(DeadlineError);
  });
});
