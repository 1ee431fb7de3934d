import { existsSync, statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { formatBytes, formatDuration } from "../../../lib/duration";
import { SpillwayError } from "../../../lib/errors";
import { indexImage } from "../../../lib/image/near";
import type { StepContext } from "../../../lib/wait";
import { EXIT, jsonLine } from "../../output";
import { commandContext } from "./context";
import { digestArgument } from "./digest-argument";
import { kindOf, openTarget, type TargetOptions } from "./target";

export interface VerifyOptions extends TargetOptions {
  readonly where: string;
  readonly digest: string;
  readonly exact?: boolean;
  readonly format?: "raw" | "qcow2";
  readonly json?: boolean;
}

/** Reads an image again, wholly, and compares it with its digest. */
export async function run(options: VerifyOptions): Promise<number> {
  const digest = digestArgument(options.digest);
  const { context, display } = commandContext();
  const startedAt = Date.now();
  const isFile = kindOf(options.where) === "directory" && isAFile(resolve(options.where));
  const { sizeBytes } = await (
    isFile ? verifyFile(options, digest, context) : verifyAt(options, digest, context, display.tell)
  ).finally(() => display.end());
  const elapsedMs = Date.now() - startedAt;
  process.stdout.write(
    options.json
      ? jsonLine({ ok: true, where: options.where, digest, sizeBytes, elapsedMs })
      : `${digest}, ${formatBytes(sizeBytes)}: every block is right (${formatDuration(elapsedMs)})\n`,
  );
  return EXIT.ok;
}

async function verifyAt(
  options: VerifyOptions,
  digest: string,
  context: StepContext,
  tell: (line: string) => void,
): Promise<{ readonly sizeBytes: number }> {
  const isDirectory = kindOf(options.where) === "directory";
  // Looking for an image makes no directory.
  if (isDirectory && !existsSync(resolve(options.where))) throw nothingThere(options.where);
  const target = await openTarget(options.where, { ...options, mustExist: true }, tell, context.signal);
  try {
    return await target.verify(digest, context);
  } finally {
    await target.close();
  }
}

/**
 * A file is an image both with and without what its file systems call free: one of them was pushed. What was pulled has nothing in its
 * free blocks, and is the same both ways.
 */
async function verifyFile(options: VerifyOptions, digest: string, context: StepContext) {
  // An index that was made before would only say what the file was then.
  const cacheDirectory = await mkdtemp(join(tmpdir(), "spillway-verify-"));
  try {
    const found: string[] = [];
    for (const exact of options.exact ? [true] : [false, true]) {
      const { where: source, format } = options;
      const image = await indexImage({ source, format, exact, context, cacheDirectory });
      if (image.digest === digest) return image;
      found.push(`${image.digest} ${exact ? "bit by bit" : "by what is in use"}`);
    }
    throw new SpillwayError({
      place: options.where,
      problem: `the file is not the image ${digest}; it is ${found.join(", ")}`,
      mend: "Compare it with the file that was pushed, or pull the image again.",
    });
  } finally {
    await rm(cacheDirectory, { recursive: true, force: true });
  }
}

function isAFile(path: string): boolean {
  return existsSync(path) && !statSync(path).isDirectory();
}

function nothingThere(where: string): SpillwayError {
  return new SpillwayError({
    place: resolve(where),
    problem: `there is no file and no directory "${where}"`,
    mend: "Give an image file, a directory of images, or another target.",
  });
}
