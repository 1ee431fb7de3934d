import { formatDuration } from "../../../lib/duration";
import type { ImageFormat } from "../../../lib/image/source";
import {
  dropImage,
  findImage,
  previewTransfer,
  replicaId,
  transferImage,
  type TransferRequest,
} from "../../../lib/steps";
import type { ResourceContext } from "../plugin";
import { bandwidthPlan, fixedCapBps } from "./bandwidth";
import type { Client } from "./client";
import type { Replica, Transfer } from "./image-replica-schema";
import { keptThroughSilence } from "./patience";
import { stepContext } from "./step-context";

export type ReplicaContext = ResourceContext<Client>;

/** What of a configuration says which bytes are to be where. */
export type Choice = Pick<Replica, "source" | "exact" | "format" | "bandwidth"> & {
  readonly digest: string | null;
};

/** What a plan can tell of a replica. */
export type Known = Pick<Replica, "id" | "digest" | "size_bytes" | "transfer">;

/** What a create made. */
export type Made = Pick<Replica, "id" | "digest" | "size_bytes" | "snapshot_id">;

/** Where a replica is: at a site, or at AWS. */
export interface ReplicaPlace {
  /** The id where it can be told before it is made. */
  preview(choice: Choice, ctx: ReplicaContext): Promise<Omit<Known, "id"> & Partial<Pick<Known, "id">>>;
  create(choice: Choice, ctx: ReplicaContext): Promise<Made>;
  /** Null when it is gone. Silence is not absence. */
  read(state: Replica, ctx: ReplicaContext): Promise<Replica | null>;
  update(prior: Replica, planned: Replica, ctx: ReplicaContext): Promise<void>;
  drop(state: Replica, ctx: ReplicaContext): Promise<void>;
}

/** An image that a site's agent holds. */
export class SitePlace implements ReplicaPlace {
  constructor(private readonly site: string) {}

  async preview(choice: Choice, ctx: ReplicaContext): Promise<Known> {
    const request = requestOf(this.site, choice, ctx.client);
    const { digest, sizeBytes, estimate } = await previewTransfer(
      ctx.client.sites,
      request,
      stepContext(ctx),
    );
    ctx.client.promise(this.site, digest);
    const transfer = transferOf(estimate, choice);
    return { id: replicaId(this.site, digest), digest, size_bytes: sizeBytes, transfer };
  }

  async create(choice: Choice, ctx: ReplicaContext): Promise<Made> {
    const request = requestOf(this.site, choice, ctx.client);
    const { digest, sizeBytes } = await transferImage(ctx.client.sites, request, stepContext(ctx));
    return { id: replicaId(this.site, digest), digest, size_bytes: sizeBytes, snapshot_id: null };
  }

  read(state: Replica, ctx: ReplicaContext): Promise<Replica | null> {
    const { site } = this;
    const image = { site, digest: state.digest };
    return keptThroughSilence(site, state, ctx, async (options) =>
      (await findImage(ctx.client.sites, image, stepContext(ctx), options)) ? state : null,
    );
  }

  /** Only what Terraform itself keeps can change in place. */
  async update(): Promise<void> {}

  async drop({ digest }: Replica, ctx: ReplicaContext): Promise<void> {
    await dropImage(ctx.client.sites, { site: this.site, digest }, stepContext(ctx));
  }
}

export function requestOf(site: string, choice: Choice, client: Client): TransferRequest {
  const { source, digest, exact, format, bandwidth } = choice;
  return {
    ...{ site, source: client.path(source), digest: digest ?? undefined, exact: exact ?? false },
    format: formatOf(format),
    bandwidth: bandwidthPlan(bandwidth),
  };
}

export function formatOf(format: string | null): ImageFormat | undefined {
  return format === "raw" || format === "qcow2" ? format : undefined;
}

interface Estimate {
  readonly totalBytes: number;
  readonly inUseBytes: number;
  readonly presentBytes: number;
  readonly sendBytes: number;
  readonly etaMs: number;
  readonly rateBps: number;
}

export function transferOf(estimate: Estimate, { bandwidth }: Pick<Choice, "bandwidth">): Transfer {
  const { totalBytes, inUseBytes, presentBytes, sendBytes, etaMs, rateBps } = estimate;
  const capBps = fixedCapBps(bandwidthPlan(bandwidth)) ?? rateBps;
  return {
    total_bytes: totalBytes,
    in_use_bytes: inUseBytes,
    present_bytes: presentBytes,
    send_bytes: sendBytes,
    ratio: totalBytes > 0 ? Math.round((sendBytes / totalBytes) * 1_000) / 1_000 : 0,
    eta: formatDuration(capBps < rateBps ? (etaMs * rateBps) / capBps : etaMs),
    rate_mbps: Math.round(rateBps / 100_000) / 10,
  };
}
