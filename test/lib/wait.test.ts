import { AbortedError, DeadlineError, SpillwayError } from "../../lib/errors";
import { sleep, waitFor, type Look, type Progress, type WaitOptions } from "../../lib/wait";

function waiting(
  look: (signal: AbortSignal) => Promise<Look<string>>,
  changes: Partial<WaitOptions<string>> = {},
  controller = new AbortController(),
) {
  const { signal } = controller;
  const said: Progress[] = [];
  const done = waitFor(
    { signal, progress: (progress) => said.push(progress) },
    {
      ...{ step: "launch", subject: "cloud/shop", what: "2 members to be launched", mend: "Look." },
      ...{ deadlineMs: 5_000, intervalMs: 10, look: () => look(signal), ...changes },
    },
  );
  return { done, said };
}

const NOT_YET = { done: false, message: "1 of 2" } as const;

test("it looks until it is done, and says what it sees only when that changes", async () => {
  const looks: Look<string>[] = [
    NOT_YET,
    NOT_YET,
    { done: false, message: "2 of 2" },
    { done: true, value: "up" },
  ];
  const { done, said } = waiting(() => Promise.resolve(looks.shift()!));
  expect(await done).toBe("up");
  expect(said.map(({ message }) => message)).toEqual(["1 of 2", "2 of 2"]);
  expect(said[0]).toMatchObject({ step: "launch", subject: "cloud/shop" });
});

test("at its deadline it says what it waited for, and what it saw last", async () => {
  const { done } = waiting(() => Promise.resolve(NOT_YET), { deadlineMs: 60 });
  const error = await done.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(DeadlineError);
  expect((error as DeadlineError).report).toMatchObject({
    place: "cloud/shop",
    problem: expect.stringMatching(/^waited .* for 2 members to be launched; last seen: 1 of 2$/),
    mend: "Look.",
  });
});

test.each([
  ["before the first look", 0, () => Promise.resolve(NOT_YET)],
  ["in a pause", 30, () => Promise.resolve(NOT_YET)],
  ["in a look", 30, (signal: AbortSignal) => sleep(5_000, signal).then(() => NOT_YET)],
])("stopped %s, it ends at once and says what it waited for", async (_, afterMs, look) => {
  const startedAt = Date.now();
  const controller = new AbortController();
  if (afterMs === 0) controller.abort();
  else setTimeout(() => controller.abort(), afterMs);
  const { done } = waiting(look, { intervalMs: 4_000 }, controller);
  await expect(done).rejects.toThrow(new AbortedError("stopped while waiting for 2 members to be launched"));
  expect(Date.now() - startedAt).toBeLessThan(2_000);
});

test("a look that fails ends it with that very error", async () => {
  const error = new SpillwayError({ place: "cloud", problem: "no", mend: "Mend it." });
  await expect(waiting(() => Promise.reject(error)).done).rejects.toBe(error);
});
