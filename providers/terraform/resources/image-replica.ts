import { messageOf, SpillwayError } from "../../../lib/errors";
import { indexImage } from "../../../lib/image";
import { findImage, parseSiteAnd, replicaId, tryParseSnapshotReplicaId } from "../../../lib/steps";
import { defineResource, isUnknown, isWhollyKnown, UNKNOWN, type PlanConfig } from "../plugin";
import type { Client } from "./client";
import { AgentEbsPlace } from "./image-replica-agent";
import { EbsPlace, importSnapshot } from "./image-replica-ebs";
import {
  formatOf,
  SitePlace,
  type Choice,
  type ReplicaContext,
  type ReplicaPlace,
} from "./image-replica-place";
import { replicaSchema, type Replica, type Transfer } from "./image-replica-schema";
import { stepContext } from "./step-context";

/** Step 1 as a resource: an image that a site holds, or an EBS snapshot of it. */
export const imageReplica = defineResource<Client>()({
  description:
    "An image that a site holds, or an EBS snapshot of it; complete and verified. Creating it moves only the bytes that are not there yet; the plan says how many, and how long that takes.",
  schema: replicaSchema,

  validate({ config: { site, target, ebs }, error }) {
    if (isUnknown(target)) return;
    const isEbs = target === "ebs";
    if (!isEbs && site === null) {
      error(
        ["site"],
        "`site` is missing",
        'Name the site that is to hold the image, or set `target = "ebs"`.',
      );
    }
    if (ebs === null || isUnknown(ebs)) return;
    if (!isEbs) error(["ebs"], '`ebs` counts only with `target = "ebs"`', "Take it out, or set the target.");
    if (site !== null && !isUnknown(site) && ebs.region !== null) {
      error(
        ["ebs", "region"],
        "`ebs.region` is given beside `site`",
        "Leave it out: the agent's region counts.",
      );
    }
    const { parent_snapshot_id: parent, encrypted, kms_key_id: key, tags } = ebs;
    if (parent !== null && (encrypted !== null || key !== null)) {
      error(
        ["ebs", "parent_snapshot_id"],
        "`parent_snapshot_id` cannot be given together with `encrypted` or `kms_key_id`",
        "Leave one of them out: a snapshot is encrypted as its parent is.",
      );
    }
    if (encrypted === false && key !== null) {
      error(
        ["ebs", "kms_key_id"],
        "`kms_key_id` encrypts, and `encrypted` is false",
        "Leave one of them out.",
      );
    }
    if (tags === null || isUnknown(tags)) return;
    for (const name of Object.keys(tags)) {
      if (!/^(spillway|aws):/i.test(name)) continue;
      const mend = "Tags that begin so have a meaning already: give it another name.";
      error(["ebs", "tags"], `the tag "${name}" is not free`, mend);
    }
  },

  async modifyPlan({ prior, config, plan, requireReplace }, ctx) {
    if (prior) {
      const digest = await presentDigest(prior, config, ctx);
      if (digest === undefined) return;
      plan.digest = digest;
      if (digest === prior.digest) return;
      requireReplace("digest");
      const snapshot_id = prior.target === "ebs" ? UNKNOWN : null;
      Object.assign(plan, { id: UNKNOWN, size_bytes: UNKNOWN, transfer: UNKNOWN, snapshot_id });
      return;
    }
    if (config.target === null || config.target === "site") plan.snapshot_id = null;
    const place = placeToAsk(config, ctx);
    const { source, digest, exact, format, bandwidth } = config;
    const choice = { source, digest, exact, format, bandwidth };
    if (!place || !isWhollyKnown(choice)) return;
    Object.assign(plan, await place.preview(choice as Choice, ctx));
  },

  async create({ planned }, ctx) {
    const place = placeOf(planned);
    const choice = { ...planned, digest: isUnknown(planned.digest) ? null : planned.digest };
    const known = isKnown(planned.transfer) ? planned.transfer : (await place.preview(choice, ctx)).transfer;
    return { ...planned, transfer: known, ...(await place.create(choice, ctx)) };
  },

  async read({ state }, ctx) {
    // States of former versions say nothing of a target.
    const { target = "site" } = withoutNull(state);
    return placeOf({ ...state, target }).read({ ...state, target }, ctx);
  },

  async update({ prior, planned }, ctx) {
    const next = { ...planned, ...computedOf(prior) };
    await placeOf(prior).update(prior, next, ctx);
    return next;
  },

  async delete({ state }, ctx) {
    if (!state.retain) await placeOf(state).drop(state, ctx);
  },

  async importState({ id }, ctx) {
    const rest = { source: "", retain: true, exact: false, format: null, bandwidth: null, timeouts: null };
    const snapshot = tryParseSnapshotReplicaId(id);
    if (snapshot) {
      const made = await importSnapshot(snapshot, ctx);
      if (!made) return null;
      const { region, ...found } = made;
      const nothing = { parent_snapshot_id: null, encrypted: null, kms_key_id: null };
      const ebs = { region, ...nothing, description: null, tags: null };
      return {
        ...rest,
        ...found,
        site: null,
        target: "ebs",
        ebs,
        transfer: transferOfNothing(made.size_bytes),
      };
    }
    const { site, rest: digest } = parseSiteAnd(id, "DIGEST");
    const image = await findImage(ctx.client.sites, { site, digest }, stepContext(ctx));
    if (!image) return null;
    const size = image.sizeBytes;
    return {
      ...{ ...rest, id: replicaId(site, digest), site, digest, size_bytes: size, snapshot_id: null },
      ...{ target: "site", ebs: null, transfer: transferOfNothing(size) },
    };
  },
});

type Where = Pick<Replica, "site" | "target" | "ebs">;

/** @throws SpillwayError when it is nowhere */
function placeOf({ site, target, ebs }: Where): ReplicaPlace {
  if (target === "ebs") return site === null ? new EbsPlace(ebs) : new AgentEbsPlace(site, ebs);
  if (site !== null) return new SitePlace(site);
  throw new SpillwayError({
    place: "spillway_image_replica",
    problem: "`site` is missing",
    mend: 'Name the site that is to hold the image, or set `target = "ebs"`.',
    attribute: ["site"],
  });
}

/** Undefined where only an apply can ask. @throws Diagnostic for a site that is not configured */
function placeToAsk(config: PlanConfig<typeof replicaSchema>, ctx: ReplicaContext): ReplicaPlace | undefined {
  const where = { site: config.site, target: config.target ?? "site", ebs: config.ebs };
  if (!isWhollyKnown(where)) return undefined;
  const known = where as Where;
  if (known.site !== null && !ctx.client.canAsk(known.site, ["site"])) return undefined;
  return placeOf(known);
}

/** The digest that the replica should have now; undefined if only an apply will tell. */
async function presentDigest(
  prior: Replica,
  config: PlanConfig<typeof replicaSchema>,
  ctx: ReplicaContext,
): Promise<string | undefined> {
  const { source, digest, exact, format } = config;
  if (isUnknown(source) || isUnknown(digest) || isUnknown(exact) || isUnknown(format)) return undefined;
  const isExact = exact ?? false;
  try {
    const path = ctx.client.path(source);
    const context = stepContext(ctx);
    const found = await indexImage({ source: path, exact: isExact, format: formatOf(format), context });
    if (digest === null || digest === found.digest) return found.digest;
    // The create that follows says which of the two is wrong.
    return digest;
  } catch (error) {
    // What the site holds does not need its source: this may well be another machine than the one that sent it.
    if ((digest !== null && digest !== prior.digest) || isExact !== prior.exact) throw error;
    ctx.warn("The image's source cannot be compared with what the site holds", {
      detail: `${messageOf(error)} The replica of ${prior.digest} stays as it is.`,
      path: ["source"],
    });
    return prior.digest;
  }
}

function transferOfNothing(size: number): Transfer {
  return {
    ...{ total_bytes: size, in_use_bytes: size, present_bytes: size, send_bytes: 0 },
    ...{ ratio: 0, eta: "0 ms", rate_mbps: 0 },
  };
}

function computedOf({ id, digest, size_bytes, snapshot_id, transfer }: Replica) {
  return { id, digest, size_bytes, snapshot_id, transfer };
}

function isKnown(transfer: unknown): transfer is Transfer {
  return transfer !== UNKNOWN && Object.values(transfer as Transfer).every((value) => !isUnknown(value));
}

function withoutNull<T extends object>(value: T): Partial<T> {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== null)) as Partial<T>;
}
