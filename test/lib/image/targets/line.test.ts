import { PassThrough } from "node:stream";
import { openImageDirectory, type ImageDirectory } from "../../../../lib/image/targets";
import { readFrames, writeFrame } from "../../../../lib/image/targets/stdio/frames";
import { Line, type Carrier } from "../../../../lib/image/targets/stdio/line";
import {
  PROTOCOL,
  REQUEST_LIMITS,
  type Request,
  type VerifiableTarget,
} from "../../../../lib/image/targets/stdio/protocol";
import { serveConnection } from "../../../../lib/image/targets/stdio/serve-connection";
import type { TakePiece } from "../../../../lib/image/wire/target";
import { sleep } from "../../../../lib/wait";
import { bytesOf, scratch } from "../support/images";

const HELLO = { spillway: "1.2.3", protocol: PROTOCOL, directory: "/far" };
const ASK: Request = { ask: "verify", digest: `sha256:${"0".repeat(64)}` };

/** Two pipes and nobody at the far end of them. */
function pipes() {
  const [there, back] = [new PassThrough(), new PassThrough()];
  const carrier: Carrier & { isKilled: boolean } = {
    ...{ input: there, output: back, place: "the far side", isKilled: false },
    whyEnded: async () => undefined,
    kill: () => {
      carrier.isKilled = true;
      there.destroy();
      back.destroy();
    },
  };
  return { carrier, there, back };
}

describe("a line to a far side", () => {
  it("that does not greet is given up, and the line is gone", async () => {
    const { carrier } = pipes();
    await expect(Line.open(carrier, 100)).rejects.toMatchObject({ code: "slow" });
    expect(carrier.isKilled).toBe(true);
  });

  it("of another version is told with both", async () => {
    const { carrier, back } = pipes();
    await writeFrame(back, { ...HELLO, protocol: 99 });
    await expect(Line.open(carrier, 1_000)).rejects.toThrow(
      /version 1\.2\.3, which speaks protocol 99 and not 2/,
    );
  });

  it("that works on a request and says so is waited for; one that says nothing is not", async () => {
    const { carrier, back } = pipes();
    await writeFrame(back, HELLO);
    const line = await Line.open(carrier, 1_000, undefined, 300);
    const asking = line.ask(ASK, undefined).catch((error: unknown) => error);
    for (let i = 0; i < 6; i++) {
      await sleep(100);
      expect(line.isUsable).toBe(true);
      await writeFrame(back, { busy: true });
    }
    expect(await asking).toMatchObject({ code: "slow" });
    expect(line.isUsable).toBe(false);
    expect(carrier.isKilled).toBe(true);
  });

  it("that breaks in an answer is told as unreachable, so that it is tried again", async () => {
    const { carrier, back } = pipes();
    await writeFrame(back, HELLO);
    const line = await Line.open(carrier, 1_000);
    const asking = line.ask(ASK, undefined);
    back.write("SPL1");
    back.end();
    await expect(asking).rejects.toMatchObject({ code: "unreachable" });
  });

  it("gives an index in parts, while it is asked for and not sooner than each is taken", async () => {
    const { carrier, there, back } = pipes();
    const parts = Array.from({ length: 40 }, (_, i) => bytesOf(i, 100_000));
    let given = 0;
    const store = {
      fetchIndex: async (_digest: string, take: TakePiece) => {
        for (const part of parts) {
          await take(part);
          given++;
        }
        return true;
      },
    } as unknown as VerifiableTarget;
    const serving = serveConnection({ input: there, output: back }, store, HELLO);
    const line = await Line.open(carrier, 1_000);
    let goOn = () => {};
    const turn = new Promise<void>((resolve) => (goOn = resolve));
    const taken: Buffer[] = [];
    const asking = line.ask({ ask: "index", digest: "-" }, undefined, undefined, async (part) => {
      if (taken.push(Buffer.from(part)) === 2) await turn;
    });
    await sleep(200);
    expect(given).toBeLessThan(10);
    goOn();
    expect(await asking).toBe(true);
    expect(Buffer.concat(taken).equals(Buffer.concat(parts))).toBe(true);
    expect(line.isUsable).toBe(true);
    there.end();
    await serving;
  });

  it("that gives parts of what has none is given up", async () => {
    const { carrier, back } = pipes();
    await writeFrame(back, HELLO);
    const line = await Line.open(carrier, 1_000);
    const asking = line.ask(ASK, undefined);
    await writeFrame(back, { part: true }, Buffer.alloc(10));
    await expect(asking).rejects.toMatchObject({ code: "unreachable" });
    expect(line.isUsable).toBe(false);
  });

  it("is gone when who takes the parts wants no more of them", async () => {
    const { carrier, back } = pipes();
    await writeFrame(back, HELLO);
    const line = await Line.open(carrier, 1_000);
    const asking = line.ask({ ask: "index", digest: "-" }, undefined, undefined, () =>
      Promise.reject(new Error("enough")),
    );
    await writeFrame(back, { part: true }, Buffer.alloc(10));
    await expect(asking).rejects.toThrow("enough");
    expect(carrier.isKilled).toBe(true);
  });

  it("is stopped at once by its signal", async () => {
    const { carrier, back } = pipes();
    await writeFrame(back, HELLO);
    const line = await Line.open(carrier, 1_000);
    await expect(line.ask(ASK, undefined, { signal: AbortSignal.timeout(50) })).rejects.toThrow("stopped");
    expect(line.isUsable).toBe(false);
  });
});

describe("the far end of a line", () => {
  const home = scratch();
  let store: ImageDirectory;
  beforeAll(async () => {
    store = await openImageDirectory(home.path);
  });
  afterAll(async () => {
    await store.close();
    home.remove();
  });

  it.each<[string, unknown, string]>([
    ["nothing", null, "invalid"],
    ["a word", "open", "invalid"],
    ["an unknown request", { ask: "format" }, "invalid"],
    [
      "a transfer with a name that is none",
      { ask: "open", id: "../../etc", request: { sizeBytes: 1 } },
      "invalid",
    ],
    ["an image of no size", { ask: "open", id: "ab".repeat(32), request: { sizeBytes: -1 } }, "invalid"],
    ["an index of what is no digest", { ask: "index", digest: "../passwd" }, "invalid"],
    ["bytes that are no segment", { ask: "segment", id: "cd".repeat(32), segmentId: "x" }, "image-corrupt"],
  ])("answers %s with a problem, and goes on", async (_, request, code) => {
    const [input, output] = [new PassThrough(), new PassThrough()];
    const serving = serveConnection({ input, output }, store, HELLO);
    const frames = readFrames(output, REQUEST_LIMITS);
    expect((await frames.next()).value?.head).toEqual(HELLO);
    for (let i = 0; i < 2; i++) {
      await writeFrame(input, request);
      expect((await frames.next()).value?.head).toMatchObject({
        ok: false,
        problem: { code, mend: expect.any(String) },
      });
    }
    input.end();
    await serving;
  });
});
