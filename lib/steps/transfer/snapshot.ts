import {
  isComplete,
  LocalSnapshots,
  SnapshotError,
  TAG,
  type KnownSnapshot,
  type SnapshotService,
} from "../../image/snapshot";
import { waitFor, type StepContext } from "../../wait";

/** How long a machine image that was deregistered a moment ago may still hold its snapshot. */
const IN_USE_MS = 120_000;
const IN_USE_EVERY_MS = 5_000;

/** `ebs/eu-central-1/sha256:…` */
export function snapshotReplicaId(region: string, digest: string): string {
  return `ebs/${region}/${digest}`;
}

/** What `ebs/REGION/SNAPSHOT` or `ebs/REGION/DIGEST` names; undefined if it is neither. */
export function tryParseSnapshotReplicaId(
  id: string,
): { readonly region: string; readonly snapshotId?: string; readonly digest?: string } | undefined {
  const match = /^ebs\/([a-z0-9-]+)\/(?:(snap-[0-9a-z]+)|(sha256:[0-9a-f]{64}))$/.exec(id);
  return match ? { region: match[1] ?? "", snapshotId: match[2], digest: match[3] } : undefined;
}

/**
 * The snapshot with that id, or the newest complete one of an image; undefined if there is none, or it failed.
 * @throws SnapshotError
 */
export async function findSnapshot(
  service: SnapshotService,
  { snapshotId, digest = "" }: { readonly snapshotId?: string; readonly digest?: string },
  { signal }: Pick<StepContext, "signal">,
): Promise<KnownSnapshot | undefined> {
  if (snapshotId !== undefined) {
    const found = await service.get(snapshotId, { signal });
    return found && found.state !== "error" ? found : undefined;
  }
  const all = await service.list(TAG.image, digest, { signal });
  return [...all].sort((one, other) => other.startedAt - one.startedAt).find(isComplete);
}

/**
 * Deletes a snapshot. Idempotent. A machine image that holds it is waited for a while: one that was deregistered does so a little longer.
 * @throws SnapshotError `in-use`, with the machine image
 */
export async function dropSnapshot(
  service: SnapshotService,
  { id, digest, region }: { readonly id: string; readonly digest: string; readonly region: string },
  context: StepContext,
  inUseMs = IN_USE_MS,
): Promise<void> {
  const subject = snapshotReplicaId(region, digest);
  const startedAt = Date.now();
  await waitFor(context, {
    ...{ step: "transfer", subject, what: `the snapshot ${id} to be in use no more` },
    ...{ deadlineMs: 2 * inUseMs, intervalMs: Math.min(IN_USE_EVERY_MS, inUseMs) },
    mend: "Deregister the machine image first.",
    look: async () => {
      try {
        await service.delete(id, { signal: context.signal });
        return { done: true, value: undefined };
      } catch (error) {
        const mayPass = error instanceof SnapshotError && (error.code === "in-use" || error.isSilence);
        if (!mayPass || Date.now() - startedAt >= inUseMs) throw error;
        return { done: false, message: error.report.problem };
      }
    },
  });
  const local = new LocalSnapshots();
  await local.forgetSnapshot(id);
  await local.forget({ region, digest });
  context.progress({ step: "transfer", subject, message: `the snapshot ${id} was deleted` });
}
