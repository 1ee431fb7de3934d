import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openImageDirectory } from "../../../lib/image/targets";
import type { StepContext } from "../../../lib/wait";
import { Bucket, ImageBucket, parseBucketAddress, pullImage } from "../../../providers/aws/image-bucket";
import type { OpenTarget } from "./target";

/** @throws TargetError */
export async function openBucket(
  text: string,
  { endpointUrl }: { readonly endpointUrl?: string },
  signal: AbortSignal,
): Promise<OpenTarget & { readonly bucket: ImageBucket }> {
  const bucket = new ImageBucket(new Bucket(parseBucketAddress(text), { endpointUrl }));
  try {
    await bucket.connect(signal);
  } catch (error) {
    bucket.close();
    throw error;
  }
  return {
    bucket,
    target: bucket,
    name: `${bucket.place}${endpointUrl ? ` at ${endpointUrl}` : ""}`,
    verify: (digest, context) => verifyByPulling(bucket, digest, context),
    keepIndex: (digest, indexPath, stop) => bucket.keepIndex(digest, indexPath, stop),
    close: () => bucket.close(),
  };
}

/** Nobody can compute there: what its segments make is seen by putting it together, in a directory that is deleted again. */
async function verifyByPulling(bucket: ImageBucket, digest: string, context: StepContext) {
  const scratch = await mkdtemp(join(tmpdir(), "spillway-verify-"));
  try {
    const into = await openImageDirectory(scratch);
    try {
      const { status } = await pullImage({ bucket, digest, into, context });
      return status;
    } finally {
      await into.close();
    }
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
