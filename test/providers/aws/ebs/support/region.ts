import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  pushSnapshot,
  TAG,
  type SnapshotOptions,
  type SnapshotService,
} from "../../../../../lib/image/snapshot";
import { locateBlocks } from "../../../../../lib/image/snapshot/parent-blocks";
import { Turns } from "../../../../../lib/image/snapshot/turns";
import type { StepContext } from "../../../../../lib/wait";
import { EbsService } from "../../../../../providers/aws/ebs";
import { listening } from "../../../../lib/image/support/images";

/** So that what is waited for in vain does not take a test's time. */
export const QUICK = { connectMs: 1_000, silenceMs: 1_000, attemptMs: 2_000 };
export const NOBODY: StepContext["signal"] = new AbortController().signal;

/** A folder for images, and a cache of its own. */
export class Home {
  readonly path = mkdtempSync(join(tmpdir(), "spillway-ebs-"));
  readonly cacheDirectory = join(this.path, "cache");

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }

  push(source: string, service: SnapshotService, options: Partial<SnapshotOptions> = {}) {
    const { cacheDirectory } = this;
    return pushSnapshot({ source, service, context: listening(), cacheDirectory, ...options });
  }
}

export const openEbs = () => EbsService.open({ timeouts: QUICK });

/** All bytes of the image in a snapshot, laid over its parents. */
export async function bytesIn(service: SnapshotService, id: string): Promise<Buffer> {
  const snapshot = await service.get(id, {});
  if (!snapshot) throw new Error(`no snapshot ${id}`);
  const turns = new Turns({ place: "test", signal: NOBODY });
  const bytes = Buffer.alloc(snapshot.volumeGib * 2 ** 30 > 2 ** 31 ? 2 ** 31 : snapshot.volumeGib * 2 ** 30);
  for (const [index, { snapshotId, block }] of await locateBlocks(service, snapshot, turns, NOBODY)) {
    bytes.set(await service.read(snapshotId, block, {}), index * 524_288);
  }
  return bytes.subarray(0, Number(snapshot.tags[TAG.size]));
}

/** Blocks that a snapshot itself was written. */
export async function written(service: SnapshotService, id: string): Promise<number[]> {
  const { blocks } = await service.blocks(id, undefined, {});
  return blocks.map(({ index }) => index).sort((one, other) => one - other);
}

/** Everything of ours there. */
export function ours(service: SnapshotService) {
  return service.list(TAG.image, undefined, {});
}
