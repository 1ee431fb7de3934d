import { spawn } from "node:child_process";
import { ExtentsBuilder, type Extents } from "../extents/extents";
import type { SourceFile } from "./file";

/** Holes that save less than this are not worth a program's start. */
const WORTHWHILE_BYTES = 64 * 1024 * 1024;

/** What the answer may take: about 200,000 extents. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

const DEADLINE_MS = 20_000;

/** `   3:     2048..    4095:   34816..   36863:   2048:   last,eof`, in blocks of 512 bytes. */
const EXTENT = /^\s*\d+:\s*(\d+)\.\.\s*(\d+):\s*\d+\.\.\s*\d+:\s*(\d+):/;

/**
 * The parts of a regular file that are not holes; undefined when that is not known, or would save little.
 *
 * Node cannot ask the kernel for holes, `filefrag` can. Why no byte can be lost by it:
 *  - it reports on the very file that is open here (by descriptor, not by path), after flushing it (`-s`), so that data which
 *    had no place on the disk yet has one;
 *  - every extent counts as data, whatever is said of it (also preallocated ones, which read as zeros);
 *  - the extents must make up what `stat` says the file takes; if they fall short, or a line is not understood, everything counts;
 *  - a file that is written to meanwhile is found by `requireUnchanged`.
 */
export async function allocatedRanges(file: SourceFile): Promise<Extents | undefined> {
  const { sizeBytes, takenBytes } = file;
  if (takenBytes === undefined || sizeBytes - takenBytes < WORTHWHILE_BYTES) return undefined;
  const answer = await filefrag(file.fd);
  if (answer === undefined) return undefined;
  const ranges = parseFilefrag(answer, sizeBytes, takenBytes);
  await file.requireUnchanged();
  return ranges;
}

/** Exported for its test. Undefined for an answer that is not understood wholly, or does not agree with `takenBytes`. */
export function parseFilefrag(answer: string, sizeBytes: number, takenBytes: number): Extents | undefined {
  const builder = new ExtentsBuilder(sizeBytes);
  let [total, previousEnd, counted] = [0, 0, 0];
  let announced: number | undefined;
  let last = false;
  for (const line of answer.split("\n")) {
    const extent = EXTENT.exec(line);
    if (extent) {
      const [start, end, length] = [Number(extent[1]), Number(extent[2]) + 1, Number(extent[3])];
      if (last || end - start !== length || start < previousEnd) return undefined;
      last = /\blast\b/.test(line);
      [total, previousEnd, counted] = [total + length, end, counted + 1];
      builder.add(Math.min(start * 512, sizeBytes), Math.min(end * 512, sizeBytes));
    } else if (/^\s*\d+:/.test(line)) {
      return undefined;
    } else {
      const found = /: (\d+) extents? found$/.exec(line);
      if (found) announced = Number(found[1]);
    }
  }
  // Adjoining extents are listed each for itself, but counted as one.
  if (announced === undefined || announced > counted || (counted > 0 && !last)) return undefined;
  // A file's own bookkeeping (indirect blocks, extent trees) is taken too, but listed nowhere.
  const bookkeeping = Math.max(1024 * 1024, takenBytes / 64);
  return total * 512 + bookkeeping < takenBytes ? undefined : builder.finish();
}

function filefrag(fd: number): Promise<string | undefined> {
  const { PATH = "", ...rest } = process.env;
  const child = spawn("filefrag", ["-s", "-e", "-v", "-b512", "/proc/self/fd/3"], {
    env: { ...rest, PATH: `${PATH}:/usr/sbin:/sbin`, LC_ALL: "C" },
    stdio: ["ignore", "pipe", "ignore", fd],
    timeout: DEADLINE_MS,
    killSignal: "SIGKILL",
  });
  const parts: Buffer[] = [];
  let bytes = 0;
  child.stdout!.on("data", (part: Buffer) => {
    bytes += part.length;
    if (bytes > MAX_ANSWER_BYTES) child.kill("SIGKILL");
    else parts.push(part);
  });
  return new Promise((resolve) => {
    child.on("error", () => resolve(undefined));
    child.on("close", (code) => resolve(code === 0 ? Buffer.concat(parts).toString() : undefined));
  });
}
