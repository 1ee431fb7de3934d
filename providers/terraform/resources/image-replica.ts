import { formatDuration } from "../../../lib/duration";
import { messageOf } from "../../../lib/errors";
import { indexFile, type TransferPreview } from "../../../lib/image";
import {
  dropImage,
  findImage,
  parseSiteAnd,
  previewTransfer,
  replicaId,
  transferImage,
} from "../../../lib/steps";
import { a, defineResource, isUnknown, timeouts, UNKNOWN, type State } from "../plugin";
import { isDigest, isNotEmpty, isSiteName } from "./checks";
import type { Client } from "./client";
import { keptThroughSilence } from "./patience";
import { stepContext } from "./step-context";

const transferAttributes = {
  total_bytes: a.integer().computed().describe("Bytes of the image."),
  present_bytes: a.integer().computed().describe("Bytes that the site held already when it was planned."),
  send_bytes: a.integer().computed().describe("Bytes to send, before compression."),
  ratio: a.number().computed().describe("`send_bytes` over `total_bytes`."),
  eta: a.string().computed().describe("How long it takes at `rate_mbps`."),
  rate_mbps: a
    .number()
    .computed()
    .describe("The link's rate that was measured last, or the assumed one; megabits per second."),
};

const schema = {
  id: a.string().computed().keepPrior().describe("`SITE/DIGEST`."),
  site: a.string().forceNew().check(isSiteName).describe("The site that is to hold the image."),
  source: a
    .string()
    .check(isNotEmpty)
    .describe(
      "Path of the image file, at the machine that runs Terraform. Another path with the same content is no new image.",
    ),
  digest: a
    .string()
    .optionalComputed()
    .keepPrior()
    .check(isDigest)
    .describe(
      "`sha256:` and 64 hex digits, of the whole image. When given, the source must have it. Another digest is another replica.",
    ),
  retain: a
    .bool()
    .default(true)
    .describe(
      "A destroy keeps the image at the site, so that the next transfer is short. `false`: it is deleted there.",
    ),
  size_bytes: a.integer().computed().keepPrior().describe("Bytes of the image."),
  transfer: a
    .nested(transferAttributes)
    .computed()
    .keepPrior()
    .describe(
      "What the transfer takes: known in the plan that creates the replica, and kept as it was then.",
    ),
  timeouts: timeouts({ create: "24h" }),
};

type Replica = State<typeof schema>;
type Transfer = State<typeof transferAttributes>;

/** Step 1 as a resource: an image that a site holds. */
export const imageReplica = defineResource<Client>()({
  description:
    "An image that a site holds, complete and verified. Creating it moves only the bytes that the site does not hold yet; the plan says how many, and how long that takes.",
  schema,

  async modifyPlan({ prior, config, plan, requireReplace }, ctx) {
    const { client } = ctx;
    if (prior) {
      const digest = await presentDigest(prior, config, ctx);
      if (digest === undefined) return;
      plan.digest = digest;
      if (digest === prior.digest) return;
      requireReplace("digest");
      Object.assign(plan, { id: UNKNOWN, size_bytes: UNKNOWN, transfer: UNKNOWN });
      return;
    }
    if (!client.canAsk(config.site, ["site"]) || isUnknown(config.source) || isUnknown(config.digest)) return;
    const request = {
      site: config.site,
      source: client.path(config.source),
      digest: config.digest ?? undefined,
    };
    const preview = await previewTransfer(client.sites, request, stepContext(ctx));
    client.promise(config.site, preview.digest);
    Object.assign(plan, whatIsKnown(config.site, preview));
  },

  async create({ planned }, ctx) {
    const { client } = ctx;
    const context = stepContext(ctx);
    const source = client.path(planned.source);
    const digest = isUnknown(planned.digest) ? undefined : planned.digest;
    const request = { site: planned.site, source, digest };
    const known = isKnown(planned.transfer)
      ? undefined
      : whatIsKnown(planned.site, await previewTransfer(client.sites, request, context));
    const result = await transferImage(client.sites, request, context);
    return {
      ...planned,
      id: replicaId(planned.site, result.digest),
      digest: result.digest,
      size_bytes: result.sizeBytes,
      transfer: known?.transfer ?? (planned.transfer as Transfer),
    };
  },

  async read({ state }, ctx) {
    const { site } = state;
    return keptThroughSilence(site, state, ctx, async (options) =>
      (await findImage(ctx.client.sites, state, stepContext(ctx), options)) ? state : null,
    );
  },

  // Only what Terraform itself keeps can change in place.
  update: ({ prior, planned }) => ({ ...planned, ...computedOf(prior) }),

  async delete({ state }, ctx) {
    if (!state.retain) await dropImage(ctx.client.sites, state, stepContext(ctx));
  },

  async importState({ id }, ctx) {
    const { site, rest: digest } = parseSiteAnd(id, "DIGEST");
    const image = await findImage(ctx.client.sites, { site, digest }, stepContext(ctx));
    if (!image) return null;
    const size = image.sizeBytes;
    const transfer = {
      total_bytes: size,
      present_bytes: size,
      send_bytes: 0,
      ratio: 0,
      eta: "0 ms",
      rate_mbps: 0,
    };
    return {
      ...{ id: replicaId(site, digest), site, source: "", digest, retain: true, size_bytes: size },
      ...{ transfer, timeouts: null },
    };
  },
});

type PlanContext = Parameters<NonNullable<typeof imageReplica.modifyPlan>>[1];
type PlanConfigOf = Parameters<NonNullable<typeof imageReplica.modifyPlan>>[0]["config"];

/** The digest that the replica should have now; undefined if only an apply will tell. */
async function presentDigest(
  prior: Replica,
  config: PlanConfigOf,
  ctx: PlanContext,
): Promise<string | undefined> {
  if (isUnknown(config.source) || isUnknown(config.digest)) return undefined;
  try {
    const path = ctx.client.path(config.source);
    const { index } = await indexFile(path, { signal: ctx.signal });
    if (config.digest === null || config.digest === index.digest) return index.digest;
    // The create that follows says which of the two is wrong.
    return config.digest;
  } catch (error) {
    // What the site holds does not need its source: this may well be another machine than the one that sent it.
    if (config.digest !== null && config.digest !== prior.digest) throw error;
    ctx.warn("The image's source cannot be compared with what the site holds", {
      detail: `${messageOf(error)} The replica of ${prior.digest} stays as it is.`,
      path: ["source"],
    });
    return prior.digest;
  }
}

function whatIsKnown(site: string, { digest, sizeBytes, estimate }: TransferPreview) {
  const { totalBytes, presentBytes, sendBytes, etaMs, rateBps } = estimate;
  const transfer: Transfer = {
    total_bytes: totalBytes,
    present_bytes: presentBytes,
    send_bytes: sendBytes,
    ratio: totalBytes > 0 ? Math.round((sendBytes / totalBytes) * 1_000) / 1_000 : 0,
    eta: formatDuration(etaMs),
    rate_mbps: Math.round(rateBps / 100_000) / 10,
  };
  return { id: replicaId(site, digest), digest, size_bytes: sizeBytes, transfer };
}

function computedOf({ id, digest, size_bytes, transfer }: Replica) {
  return { id, digest, size_bytes, transfer };
}

function isKnown(transfer: unknown): transfer is Transfer {
  return transfer !== UNKNOWN && Object.values(transfer as Transfer).every((value) => !isUnknown(value));
}
