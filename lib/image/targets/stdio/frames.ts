import type { Readable, Writable } from "node:stream";
import { AbortedError } from "../../../errors";
import type { TargetCallOptions } from "../../wire/target";

/*
 * What goes through a pair of pipes: "SPL1", bytes of the head (4, little-endian), bytes of the body (4), the head as JSON, the body.
 */
const MAGIC = Buffer.from("SPL1", "latin1");
const PREFIX_BYTES = 12;
const SLICE_BYTES = 64 * 1024;
/** Of what is no frame, so much is shown. */
const SHOWN_BYTES = 200;

export interface Frame {
  readonly head: unknown;
  readonly body: Buffer;
}

export interface FrameLimits {
  readonly headBytes: number;
  readonly bodyBytes: number;
}

/** Bytes that are no frame: somebody else talks on this line. */
export class NotAFrame extends Error {
  override readonly name = "NotAFrame";
}

export interface WriteOptions extends Pick<TargetCallOptions, "pace" | "signal"> {
  /** Called whenever the other side has taken something. */
  readonly onProgress?: () => void;
}

/**
 * Writes one frame, no faster than the other side reads.
 * @throws AbortedError, and then half a frame may have been written
 * @throws Error when the stream was closed
 */
export async function writeFrame(
  to: Writable,
  head: unknown,
  body: Uint8Array = Buffer.alloc(0),
  { pace, signal, onProgress }: WriteOptions = {},
): Promise<void> {
  const text = Buffer.from(JSON.stringify(head));
  const prefix = Buffer.alloc(PREFIX_BYTES);
  MAGIC.copy(prefix);
  prefix.writeUInt32LE(text.length, 4);
  prefix.writeUInt32LE(body.length, 8);
  await writeOn(to, Buffer.concat([prefix, text]), signal);
  for (let at = 0; at < body.length;) {
    const slice = Math.min(pace?.sliceBytes ?? SLICE_BYTES, body.length - at);
    await pace?.take(slice, signal);
    await writeOn(to, body.subarray(at, at + slice), signal);
    onProgress?.();
    at += slice;
  }
}

/** Waits until there is room again. */
function writeOn(to: Writable, bytes: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
  if (signal?.aborted) return Promise.reject(new AbortedError("stopped"));
  if (to.destroyed || to.writableEnded) return Promise.reject(new Error("the line was closed"));
  // Copied: the sender uses its memory again as soon as the segment is answered, or given up.
  if (to.write(Buffer.from(bytes))) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const settle = (settled: () => void) => {
      to.off("drain", onDrain);
      to.off("close", onClose);
      to.off("error", onClose);
      signal?.removeEventListener("abort", onAbort);
      settled();
    };
    const onDrain = () => settle(resolve);
    const onClose = () => settle(() => reject(new Error("the line was closed")));
    const onAbort = () => settle(() => reject(new AbortedError("stopped")));
    to.once("drain", onDrain).once("close", onClose).once("error", onClose);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/**
 * Reads frames until the stream ends. No frame takes more memory than the limits say, whatever the other side writes.
 * @throws NotAFrame
 */
export async function* readFrames(from: Readable, limits: FrameLimits): AsyncGenerator<Frame, void> {
  let pieces: Buffer[] = [];
  let have = 0;
  let want: number | undefined;
  for await (const piece of from as AsyncIterable<Buffer>) {
    pieces.push(piece);
    have += piece.length;
    for (;;) {
      if (want === undefined) {
        if (have < PREFIX_BYTES && !isOff(pieces)) break;
        want = frameBytes(Buffer.concat(pieces), limits);
      }
      if (have < want) break;
      // Put together once, not with each piece that comes.
      const all = Buffer.concat(pieces);
      yield parse(all.subarray(0, want));
      const rest = all.subarray(want);
      pieces = rest.length > 0 ? [rest] : [];
      have = rest.length;
      want = undefined;
    }
  }
  if (have > 0) throw new NotAFrame(`the line was cut in the middle of a message`);
}

/** Does it begin with something else already? Somebody who greets with a word would otherwise be waited for. */
function isOff(pieces: readonly Buffer[]): boolean {
  const all = Buffer.concat(pieces);
  const known = Math.min(all.length, MAGIC.length);
  return !all.subarray(0, known).equals(MAGIC.subarray(0, known));
}

function frameBytes(all: Buffer, limits: FrameLimits): number {
  if (all.length < PREFIX_BYTES || !all.subarray(0, MAGIC.length).equals(MAGIC)) {
    const shown = all.toString("utf8", 0, SHOWN_BYTES).split("\n")[0].trim();
    throw new NotAFrame(JSON.stringify(shown));
  }
  const [head, body] = [all.readUInt32LE(4), all.readUInt32LE(8)];
  if (head > limits.headBytes || body > limits.bodyBytes) {
    throw new NotAFrame(`a message of ${head} and ${body} bytes, more than it may have`);
  }
  return PREFIX_BYTES + head + body;
}

function parse(frame: Buffer): Frame {
  const bodyAt = PREFIX_BYTES + frame.readUInt32LE(4);
  try {
    return { head: JSON.parse(frame.toString("utf8", PREFIX_BYTES, bodyAt)), body: frame.subarray(bodyAt) };
  } catch {
    throw new NotAFrame("a message that is no JSON");
  }
}
