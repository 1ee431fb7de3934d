import {
  isComplete,
  previewSnapshot,
  pushSnapshot,
  SnapshotError,
  TAG_PREFIX,
  type SnapshotService,
  type SnapshotSettings,
} from "../../../lib/image/snapshot";
import { dropSnapshot, findSnapshot, snapshotReplicaId } from "../../../lib/steps";
import { bandwidthPlan } from "./bandwidth";
import {
  formatOf,
  transferOf,
  type Choice,
  type Known,
  type Made,
  type ReplicaContext,
  type ReplicaPlace,
} from "./image-replica-place";
import type { EbsSettings, Replica } from "./image-replica-schema";
import { stepContext } from "./step-context";

/** A refresh asks for this long only. */
const BRIEFLY_MS = 10_000;

/** A snapshot that this side makes. */
export class EbsPlace implements ReplicaPlace {
  constructor(private readonly settings: EbsSettings | null) {}

  preview(choice: Choice, ctx: ReplicaContext): Promise<Known> {
    return this.with(async (service) => {
      const { digest, sizeBytes, estimate } = await previewSnapshot(this.optionsOf(choice, service, ctx));
      const transfer = transferOf(estimate, choice);
      return { id: snapshotReplicaId(service.region, digest), digest, size_bytes: sizeBytes, transfer };
    });
  }

  create(choice: Choice, ctx: ReplicaContext): Promise<Made> {
    return this.with(async (service) => {
      const made = await pushSnapshot(this.optionsOf(choice, service, ctx));
      const { digest, sizeBytes: size_bytes, snapshotId: snapshot_id } = made;
      return { id: snapshotReplicaId(service.region, digest), digest, size_bytes, snapshot_id };
    });
  }

  read(state: Replica, ctx: ReplicaContext): Promise<Replica | null> {
    return this.with(async (service) => {
      const { snapshot_id: snapshotId, digest } = state;
      const signal = AbortSignal.any([ctx.signal, AbortSignal.timeout(BRIEFLY_MS)]);
      try {
        const found = await findSnapshot(
          service,
          { snapshotId: snapshotId ?? undefined, digest },
          { signal },
        );
        return found ? { ...state, snapshot_id: found.id, ebs: withTags(state.ebs, found.tags) } : null;
      } catch (error) {
        const isSilent = error instanceof SnapshotError ? error.isSilence : signal.aborted;
        if (ctx.signal.aborted || !isSilent) throw error;
        const why = error instanceof SnapshotError ? error.report.problem : "AWS did not answer in time";
        ctx.warn(`${service.place} cannot be asked: what the state says of the snapshot is kept`, {
          detail: `${why.charAt(0).toUpperCase()}${why.slice(1)}. Silence is not absence, so the snapshot is not planned anew because of it.`,
          path: ["ebs"],
        });
        return state;
      }
    });
  }

  update(prior: Replica, { ebs }: Replica, ctx: ReplicaContext): Promise<void> {
    const id = prior.snapshot_id;
    if (id === null) return Promise.resolve();
    return this.with(async (service) => {
      const before = prior.ebs?.tags ?? {};
      const after = ebs?.tags ?? {};
      const changed = Object.entries(after).filter(([key, value]) => before[key] !== value);
      const gone = Object.keys(before).filter((key) => !(key in after) && !key.startsWith(TAG_PREFIX));
      if (changed.length > 0) await service.tag(id, Object.fromEntries(changed), { signal: ctx.signal });
      if (gone.length > 0) await service.untag(id, gone, { signal: ctx.signal });
    });
  }

  drop({ snapshot_id: id, digest }: Replica, ctx: ReplicaContext): Promise<void> {
    if (id === null) return Promise.resolve();
    return this.with((service) =>
      dropSnapshot(service, { id, digest, region: service.region }, stepContext(ctx)),
    );
  }

  private optionsOf(choice: Choice, service: SnapshotService, ctx: ReplicaContext) {
    const { source, digest, exact, format, bandwidth } = choice;
    const plan = bandwidthPlan(bandwidth);
    return {
      ...{ service, context: stepContext(ctx), settings: settingsOf(this.settings) },
      ...{ source: ctx.client.path(source), digest: digest ?? undefined, exact: exact ?? false },
      ...{ format: formatOf(format), bandwidth: plan && [plan] },
      subject: digest ? snapshotReplicaId(service.region, digest) : `ebs/${service.region}/${source}`,
    };
  }

  private with<T>(use: (service: SnapshotService) => Promise<T>): Promise<T> {
    return withEbs(this.settings?.region ?? undefined, use);
  }
}

/** The AWS SDK is loaded only where something is asked of AWS. */
async function withEbs<T>(
  region: string | undefined,
  use: (service: SnapshotService) => Promise<T>,
): Promise<T> {
  const { EbsService } = await import("../../aws/ebs/index.js");
  const service = await EbsService.open({ region });
  try {
    return await use(service);
  } finally {
    service.close();
  }
}

/** What is imported: the size is what our tag says. Null: there is no such snapshot of ours. */
export function importSnapshot(
  { region, snapshotId, digest }: { region: string; snapshotId?: string; digest?: string },
  ctx: ReplicaContext,
): Promise<(Made & { readonly region: string; readonly exact: boolean }) | null> {
  return withEbs(region, async (service) => {
    const found = await findSnapshot(service, { snapshotId, digest }, ctx);
    const image = found?.tags[`${TAG_PREFIX}image`];
    const size = Number(found?.tags[`${TAG_PREFIX}size`]);
    if (!found || !isComplete(found) || image === undefined || !Number.isSafeInteger(size)) return null;
    const id = snapshotReplicaId(service.region, image);
    return { id, digest: image, size_bytes: size, snapshot_id: found.id, region, exact: false };
  });
}

function settingsOf(settings: EbsSettings | null): SnapshotSettings {
  const { parent_snapshot_id, encrypted, kms_key_id, description, tags } = settings ?? {};
  return {
    parentId: parent_snapshot_id ?? undefined,
    encrypted: encrypted ?? undefined,
    kmsKeyId: kms_key_id ?? undefined,
    description: description ?? undefined,
    tags: tags ?? undefined,
  };
}

/** Of those that are configured, what is there: one that was changed elsewhere is put right by the next apply. */
function withTags(ebs: EbsSettings | null, there: Readonly<Record<string, string>>): EbsSettings | null {
  if (!ebs?.tags) return ebs;
  const tags = Object.fromEntries(
    Object.keys(ebs.tags).flatMap((key) => (there[key] === undefined ? [] : [[key, there[key]]])),
  );
  return { ...ebs, tags };
}
