import * as fc from "fast-check";
import { PassThrough, Readable } from "node:stream";
import { NotAFrame, readFrames, writeFrame } from "../../../../lib/image/targets/stdio/frames";

const LIMITS = { headBytes: 10_000, bodyBytes: 100_000 };

async function all(pieces: readonly Buffer[]): Promise<{ head: unknown; body: Buffer }[]> {
  const found: { head: unknown; body: Buffer }[] = [];
  for await (const frame of readFrames(Readable.from(pieces, { objectMode: true }), LIMITS)) {
    found.push({ head: frame.head, body: Buffer.from(frame.body) });
  }
  return found;
}

async function written(frames: readonly { head: unknown; body: Uint8Array }[]): Promise<Buffer> {
  const stream = new PassThrough({ highWaterMark: 2 ** 24 });
  for (const { head, body } of frames) await writeFrame(stream, head, body);
  stream.end();
  return Buffer.concat(await stream.toArray());
}

const frame = fc.record({
  head: fc.dictionary(fc.string({ maxLength: 8 }), fc.oneof(fc.string(), fc.integer(), fc.boolean())),
  body: fc.uint8Array({ maxLength: 5_000 }),
});

describe("messages between two pipes", () => {
  it("come out as they went in, however the pipe cuts them", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(frame, { maxLength: 5 }),
        fc.integer({ min: 1, max: 7_000 }),
        async (frames, size) => {
          const bytes = await written(frames);
          const pieces: Buffer[] = [];
          for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
          const found = await all(pieces);
          const plain = frames.map(({ head, body }) => ({
            head: JSON.parse(JSON.stringify(head)),
            body: Buffer.from(body),
          }));
          expect(found).toEqual(plain);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("that are none are refused at their first byte, with what they say", async () => {
    await expect(all([Buffer.from("Wel"), Buffer.from("come to example.org\nlast login")])).rejects.toThrow(
      /"Wel/,
    );
    await expect(all([Buffer.from("Welcome to example.org\nlast login\n")])).rejects.toThrow(NotAFrame);
  });

  it("that claim more than they may have take no memory", async () => {
    const prefix = Buffer.alloc(12);
    prefix.write("SPL1", "latin1");
    prefix.writeUInt32LE(100, 4);
    prefix.writeUInt32LE(0xffff_ffff, 8);
    await expect(all([prefix])).rejects.toThrow(/more than it may have/);
  });

  it("that are cut off are told from an end", async () => {
    const bytes = await written([{ head: { a: 1 }, body: Buffer.alloc(100) }]);
    for (const cut of [1, 11, 13, bytes.length - 1])
      await expect(all([bytes.subarray(0, cut)])).rejects.toThrow(NotAFrame);
    await expect(all([])).resolves.toEqual([]);
  });

  it("wait for a reader who is slow, and end with him", async () => {
    const slow = new PassThrough({ highWaterMark: 1_000 });
    const writing = writeFrame(slow, {}, Buffer.alloc(50_000));
    const outcome = writing.then(
      () => "written",
      (error: Error) => error.message,
    );
    await new Promise((resolve) => setTimeout(resolve, 20));
    slow.destroy();
    expect(await outcome).toMatch(/closed/);
  });

  it("go at the pace they are given", async () => {
    const taken: number[] = [];
    const pace = { sliceBytes: 1_000, take: async (bytes: number) => void taken.push(bytes) };
    const stream = new PassThrough({ highWaterMark: 2 ** 20 });
    await writeFrame(stream, {}, Buffer.alloc(2_500), { pace });
    expect(taken).toEqual([1_000, 1_000, 500]);
  });
});
