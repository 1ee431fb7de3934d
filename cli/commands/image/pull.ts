import { existsSync, statSync } from "node:fs";
import { chmod, copyFile, constants, link, mkdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { formatBytes, formatDuration } from "../../../lib/duration";
import { AbortedError, SpillwayError } from "../../../lib/errors";
import { openImageDirectory } from "../../../lib/image/targets";
import type { ImageBucket, PullResult } from "../../../providers/aws/image-bucket";
import { pullImage } from "../../../providers/aws/image-bucket";
import type { StepContext } from "../../../lib/wait";
import { EXIT, jsonLine, UsageError } from "../../output";
import { openBucket } from "./bucket-target";
import { commandContext } from "./context";
import { digestArgument } from "./digest-argument";
import { kindOf } from "./target";

export interface PullOptions {
  readonly bucket: string;
  readonly digest: string;
  readonly destination: string;
  readonly endpointUrl?: string;
  readonly json?: boolean;
}

/** Puts an image of a bucket together here. */
export async function run(options: PullOptions): Promise<number> {
  const digest = digestArgument(options.digest);
  if (kindOf(options.bucket) !== "bucket") throw new UsageError(notABucket(options.bucket));
  const { context, display } = commandContext();
  const startedAt = Date.now();
  try {
    const { bucket } = await openBucket(options.bucket, options, context.signal);
    try {
      const { result, path } = await pullTo(bucket, digest, resolve(options.destination), context);
      display.end();
      const { fetchedBytes, bases, status } = result;
      const elapsedMs = Date.now() - startedAt;
      process.stdout.write(
        options.json
          ? jsonLine({ ok: true, digest, sizeBytes: status.sizeBytes, path, fetchedBytes, bases, elapsedMs })
          : `${path}\n${digest}, ${formatBytes(status.sizeBytes)}: fetched ${formatBytes(fetchedBytes)} in ${formatDuration(elapsedMs)}, verified\n`,
      );
      return EXIT.ok;
    } finally {
      bucket.close();
    }
  } catch (error) {
    display.end();
    if (error instanceof AbortedError)
      process.stderr.write("what has been fetched is kept: the same command goes on with it\n");
    throw error;
  }
}

/** A directory that is there keeps the image among its others; anything else is the name of a file. */
async function pullTo(bucket: ImageBucket, digest: string, destination: string, context: StepContext) {
  if (existsSync(destination)) {
    if (!statSync(destination).isDirectory()) throw thereAlready(destination);
    return pullInto(destination, bucket, digest, context, async (path) => path);
  }
  await mkdir(dirname(destination), { recursive: true });
  // Beside it, so that the file can be moved there at once and whole.
  const scratch = join(dirname(destination), `.${basename(destination)}.pull`);
  const pulled = await pullInto(scratch, bucket, digest, context, async (path) => {
    await moveOut(path, destination);
    return destination;
  });
  await rm(scratch, { recursive: true, force: true });
  return pulled;
}

async function pullInto(
  directory: string,
  bucket: ImageBucket,
  digest: string,
  context: StepContext,
  finish: (path: string) => Promise<string>,
): Promise<{ readonly result: PullResult; readonly path: string }> {
  const into = await openImageDirectory(directory);
  try {
    const result = await pullImage({ bucket, digest, into, context });
    return { result, path: await finish(into.path(digest)) };
  } finally {
    await into.close();
  }
}

/** The store's file is read-only and may be linked; what is asked for is a file of one's own. */
async function moveOut(from: string, to: string): Promise<void> {
  const draft = `${to}.${process.pid}.draft`;
  try {
    await link(from, draft);
  } catch {
    await copyFile(from, draft, constants.COPYFILE_FICLONE);
  }
  await chmod(draft, 0o666 & ~process.umask());
  await rename(draft, to);
}

function thereAlready(path: string): SpillwayError {
  return new SpillwayError({
    place: path,
    problem: `"${path}" is there already`,
    mend: "Give a name that is free, or a directory of images.",
  });
}

function notABucket(text: string): SpillwayError {
  return new SpillwayError({
    place: text,
    problem: `"${text}" is no address of a bucket`,
    mend: "Write it as s3://bucket/prefix. Images at a site or in a directory are whole files already.",
  });
}
