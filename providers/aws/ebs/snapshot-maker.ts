import { findSnapshot } from "../../../lib/steps";
import { LocalSnapshots, pushSnapshot, TAG, type SnapshotService } from "../../../lib/image/snapshot";
import type { SnapshotRequest } from "../../../lib/site/api";
import type { MadeSnapshot, SnapshotMaker } from "../../../lib/site/ports";
import type { StepContext } from "../../../lib/wait";

/** An agent's own hand on EBS: images that it holds become snapshots in its region, with the credentials of its environment. */
export class EbsSnapshotMaker implements SnapshotMaker {
  constructor(private readonly options: { readonly region?: string } = {}) {}

  region(): Promise<string> {
    return this.with(async ({ region }) => region);
  }

  make(
    { path: source, digest }: { readonly path: string; readonly digest: string },
    { lineage, ...settings }: SnapshotRequest,
    directory: string,
    context: StepContext,
  ): Promise<MadeSnapshot> {
    return this.with(async (service) => {
      const made = await pushSnapshot({
        ...{ source, digest, format: "raw", service, settings, context, cacheDirectory: directory },
        // It is the image as it was sent: what was free in it is zeros already, and zeros are holes in its file, whatever they mean.
        ...{ exact: true, holesCount: true, lineage },
      });
      return { snapshotId: made.snapshotId, sizeBytes: made.sizeBytes };
    });
  }

  find(digest: string, signal: AbortSignal): Promise<MadeSnapshot | undefined> {
    return this.with(async (service) => {
      const found = await findSnapshot(service, { digest }, { signal });
      return found && { snapshotId: found.id, sizeBytes: Number(found.tags[TAG.size]) || 0 };
    });
  }

  remove(snapshotId: string, digest: string, directory: string, signal: AbortSignal): Promise<void> {
    return this.with(async (service) => {
      await service.delete(snapshotId, { signal });
      const local = new LocalSnapshots(directory);
      await local.forgetSnapshot(snapshotId);
      await local.forget({ region: service.region, digest });
    });
  }

  /** The AWS SDK is loaded only where something is asked of AWS. */
  private async with<T>(use: (service: SnapshotService) => Promise<T>): Promise<T> {
    const { EbsService } = await import("../../aws/ebs/index.js");
    const service = await EbsService.open(this.options);
    try {
      return await use(service);
    } finally {
      service.close();
    }
  }
}
