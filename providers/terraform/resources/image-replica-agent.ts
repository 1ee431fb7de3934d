import { basename } from "node:path";
import type { SnapshotRequest } from "../../../lib/site/api";
import { previewTransfer, snapshotAtSite, snapshotReplicaId } from "../../../lib/steps";
import {
  requestOf,
  transferOf,
  type Choice,
  type Known,
  type Made,
  type ReplicaContext,
  type ReplicaPlace,
} from "./image-replica-place";
import type { EbsSettings, Replica } from "./image-replica-schema";
import { keptThroughSilence } from "./patience";
import { deadlineMs, stepContext } from "./step-context";

/** A snapshot that a site's agent makes, of an image that is sent to it. */
export class AgentEbsPlace implements ReplicaPlace {
  constructor(
    private readonly site: string,
    private readonly settings: EbsSettings | null,
  ) {}

  /** The region is the agent's to say, so the id is known once it is made. What is told is what crosses the link. */
  async preview(choice: Choice, ctx: ReplicaContext): Promise<Omit<Known, "id">> {
    const request = requestOf(this.site, choice, ctx.client);
    const { digest, sizeBytes, estimate } = await previewTransfer(
      ctx.client.sites,
      request,
      stepContext(ctx),
    );
    ctx.client.promise(this.site, digest);
    return { digest, size_bytes: sizeBytes, transfer: transferOf(estimate, choice) };
  }

  async create(choice: Choice, ctx: ReplicaContext): Promise<Made> {
    const { sites } = ctx.client;
    const request = requestOf(this.site, choice, ctx.client);
    const settings = { ...this.request(), lineage: basename(choice.source) };
    const made = await snapshotAtSite(sites, request, settings, stepContext(ctx), deadlineMs(ctx));
    const { region, digest, sizeBytes: size_bytes, snapshotId: snapshot_id } = made;
    return { id: snapshotReplicaId(region, digest), digest, size_bytes, snapshot_id };
  }

  read(state: Replica, ctx: ReplicaContext): Promise<Replica | null> {
    return keptThroughSilence(this.site, state, ctx, async (options) => {
      const found = await ctx.client.sites.get(this.site).snapshot(state.digest, options);
      if (found?.state === "making") return state;
      return found?.state === "complete" ? { ...state, snapshot_id: found.snapshotId ?? null } : null;
    });
  }

  async update(prior: Replica, planned: Replica, ctx: ReplicaContext): Promise<void> {
    if (JSON.stringify(prior.ebs?.tags ?? {}) === JSON.stringify(planned.ebs?.tags ?? {})) return;
    const choice = { ...planned, digest: prior.digest };
    await new AgentEbsPlace(this.site, planned.ebs).create(choice, ctx);
  }

  async drop({ snapshot_id: id, digest }: Replica, ctx: ReplicaContext): Promise<void> {
    if (id === null) return;
    await ctx.client.sites.get(this.site).deleteSnapshot(digest, id, { signal: ctx.signal });
  }

  private request(): SnapshotRequest {
    const { parent_snapshot_id, encrypted, kms_key_id, description, tags } = this.settings ?? {};
    const given = { parentId: parent_snapshot_id, encrypted, kmsKeyId: kms_key_id, description, tags };
    return Object.fromEntries(
      Object.entries(given).filter(([, value]) => value !== null && value !== undefined),
    );
  }
}
