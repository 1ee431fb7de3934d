import type { FileHandle } from "node:fs/promises";
import { SpillwayError, messageOf } from "../errors";
import type { ImageIndex, Run } from "./image-index";
import { sourceChanged } from "./index-file";
import { rawPart, sealSegment, segmentSpace } from "./segment";

/** Segments that are read and packed ahead of the streams, so that no stream waits for the disk or the processor. */
const AHEAD = 2;
/** One record of the far side's journal holds a segment's runs; so many small ones make a segment full too. */
const MAX_RUNS = 8_192;

/** Segments differ a little in size; so each finds room in most spaces. */
const SPACE_TO_SPARE = 64 * 1024;

/** What one segment will hold. */
export interface SegmentPlan {
  readonly runs: readonly Run[];
  readonly rawBytes: number;
}

/** A segment that can be sent. */
export interface ReadySegment {
  readonly id: string;
  readonly bytes: Uint8Array;
  readonly rawBytes: number;
  /** To be called when its bytes are not needed any more. */
  readonly release: () => void;
}

/** Divides missing chunks, in order, into segments of at most `segmentBytes()`, asked anew for each. */
export function* planSegments(
  index: ImageIndex,
  missing: readonly Run[],
  segmentBytes: () => number,
): Generator<SegmentPlan> {
  let runs: [number, number][] = [];
  let rawBytes = 0;
  let limit = segmentBytes();
  for (const [first, count] of missing) {
    for (let position = first; position < first + count; position++) {
      if (index.isHole(position)) continue;
      const length = index.lengthOf(position);
      const last = runs.at(-1);
      const isNext = last !== undefined && last[0] + last[1] === position;
      if (rawBytes > 0 && (rawBytes + length > limit || (!isNext && runs.length === MAX_RUNS))) {
        yield { runs, rawBytes };
        runs = [];
        rawBytes = 0;
        limit = segmentBytes();
      }
      const tail = runs.at(-1);
      if (tail && tail[0] + tail[1] === position) tail[1]++;
      else runs.push([position, 1]);
      rawBytes += length;
    }
  }
  if (rawBytes > 0) yield { runs, rawBytes };
}

/** Reads segments from an image file. Each chunk is verified against the index, so that a file that changes is found out. */
export class SegmentSource {
  private readonly ready: Promise<ReadySegment>[] = [];
  /** Used again and again: a collector of garbage would let hundreds of megabytes of it pile up. */
  private readonly spaces: Buffer[] = [];

  constructor(
    private readonly path: string,
    private readonly file: FileHandle,
    private readonly index: ImageIndex,
    private readonly plans: Iterator<SegmentPlan>,
  ) {}

  /** The next segment; undefined when there is none left. @throws SpillwayError when the file was changed or cannot be read */
  next(): Promise<ReadySegment> | undefined {
    while (this.ready.length <= AHEAD) {
      const { value, done } = this.plans.next();
      if (done) break;
      const ready = this.prepare(value);
      // A failure is told to the stream that takes this segment; if none does any more, it was told of another one.
      ready.catch(() => undefined);
      this.ready.push(ready);
    }
    return this.ready.shift();
  }

  private async prepare(plan: SegmentPlan): Promise<ReadySegment> {
    const spaceBytes = segmentSpace(plan.runs.length, plan.rawBytes);
    const space = this.takeSpace(spaceBytes);
    const raw = rawPart(space, plan.runs.length, plan.rawBytes);
    let at = 0;
    for (const run of plan.runs) {
      const bytes = raw.subarray(at, at + this.index.bytesOf([run]));
      await this.read(bytes, this.index.offsetOf(run[0]));
      this.verify(run, bytes);
      at += bytes.length;
    }
    const scratch = this.takeSpace(spaceBytes);
    const { id, bytes } = await sealSegment(this.index.digest, plan.runs, space, plan.rawBytes, scratch);
    this.spaces.push(scratch);
    return { id, bytes, rawBytes: plan.rawBytes, release: () => void this.spaces.push(space) };
  }

  private takeSpace(bytes: number): Buffer {
    const fitting = this.spaces.findIndex((space) => space.length >= bytes);
    if (fitting >= 0) return this.spaces.splice(fitting, 1)[0];
    // One that is too small would be too small again.
    this.spaces.pop();
    return Buffer.allocUnsafeSlow(bytes + SPACE_TO_SPARE);
  }

  private async read(into: Buffer, offset: number): Promise<void> {
    for (let done = 0; done < into.length;) {
      const { bytesRead } = await this.file
        .read(into, done, into.length - done, offset + done)
        .catch((error) => {
          throw new SpillwayError(
            {
              place: `${this.path}, offset ${offset + done}`,
              problem: `the image file "${this.path}" cannot be read at offset ${offset + done}: ${messageOf(error)}`,
              mend: "Look at the disk it lies on, then try again: what has arrived is kept.",
              attribute: ["source"],
            },
            { cause: error },
          );
        });
      if (bytesRead === 0)
        throw sourceChanged(this.path, `while it was being sent: it ends at offset ${offset + done} now`);
      done += bytesRead;
    }
  }

  private verify([first, count]: Run, bytes: Buffer): void {
    let at = 0;
    for (let position = first; position < first + count; position++) {
      const end = at + this.index.lengthOf(position);
      if (!this.index.matches(position, bytes.subarray(at, end))) {
        throw sourceChanged(this.path, `while it was being sent, at offset ${this.index.offsetOf(position)}`);
      }
      at = end;
    }
  }
}
