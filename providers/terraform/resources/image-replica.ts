import { formatDuration } from "../../../lib/duration";
import { messageOf } from "../../../lib/errors";
import type { ImageFormat } from "../../../lib/image/source";
import { indexImage, type TransferPreview } from "../../../lib/image";
import {
  dropImage,
  findImage,
  parseSiteAnd,
  previewTransfer,
  replicaId,
  transferImage,
  type TransferRequest,
} from "../../../lib/steps";
import { a, defineResource, isUnknown, isWhollyKnown, timeouts, UNKNOWN, type State } from "../plugin";
import { bandwidthAttributes, bandwidthPlan, fixedCapBps } from "./bandwidth";
import { isDigest, isNotEmpty, isOneOf, isSiteName } from "./checks";
import type { Client } from "./client";
import { keptThroughSilence } from "./patience";
import { stepContext } from "./step-context";

const transferAttributes = {
  total_bytes: a.integer().computed().describe("Bytes of the virtual disk."),
  in_use_bytes: a
    .integer()
    .computed()
    .describe("Bytes of it that are in use; the others are zeros, and are not sent."),
  present_bytes: a
    .integer()
    .computed()
    .describe("Bytes in use that the site held already, in any image, when it was planned."),
  send_bytes: a.integer().computed().describe("Bytes to send, before compression."),
  ratio: a.number().computed().describe("`send_bytes` over `total_bytes`."),
  eta: a
    .string()
    .computed()
    .describe(
      "How long that takes at `rate_mbps` (or at `bandwidth.cap`, where that is less and there are no windows), packed as well as what crossed this link before.",
    ),
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
      "Path of the image file, raw or qcow2, at the machine that runs Terraform. Another path with the same content is no new image.",
    ),
  format: a
    .string()
    .optional()
    .check(isOneOf("raw", "qcow2"))
    .describe(
      "How the file is read: `raw` or `qcow2`. Left out, it is told from the file's first bytes; name it for images of machines that are not trusted.",
    ),
  exact: a
    .bool()
    .default(false)
    .describe(
      "Bit by bit. `false`: what the image's file systems call free counts as zeros and is not sent. A change that makes another image of the source makes another replica.",
    ),
  digest: a
    .string()
    .optionalComputed()
    .keepPrior()
    .check(isDigest)
    .describe(
      "`sha256:` and 64 hex digits, of the whole image, as `spillway image index FILE` prints it. When given, the source must have it. Another digest is another replica.",
    ),
  bandwidth: a
    .nested(bandwidthAttributes)
    .optional()
    .describe(
      "What the transfer may take of the link, and when. It can also be changed while a transfer runs, for the whole machine: `spillway image cap`.",
    ),
  retain: a
    .bool()
    .default(true)
    .describe(
      "A destroy keeps the image at the site, so that the next transfer is short. `false`: it is deleted there.",
    ),
  size_bytes: a.integer().computed().keepPrior().describe("Bytes of the virtual disk."),
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
    if (!client.canAsk(config.site, ["site"])) return;
    const { source, digest, exact, format, bandwidth } = config;
    const choice = { source, digest, exact, format, bandwidth };
    if (!isWhollyKnown(choice)) return;
    const request = requestOf(config.site, choice as Choice, client);
    const preview = await previewTransfer(client.sites, request, stepContext(ctx));
    client.promise(config.site, preview.digest);
    Object.assign(plan, whatIsKnown(request, preview));
  },

  async create({ planned }, ctx) {
    const { client } = ctx;
    const context = stepContext(ctx);
    const digest = isUnknown(planned.digest) ? null : planned.digest;
    const request = requestOf(planned.site, { ...planned, digest }, client);
    const known = isKnown(planned.transfer)
      ? undefined
      : whatIsKnown(request, await previewTransfer(client.sites, request, context));
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
      in_use_bytes: size,
      present_bytes: size,
      send_bytes: 0,
      ratio: 0,
      eta: "0 ms",
      rate_mbps: 0,
    };
    return {
      ...{ id: replicaId(site, digest), site, source: "", digest, retain: true, size_bytes: size },
      ...{ exact: false, format: null, bandwidth: null, transfer, timeouts: null },
    };
  },
});

type PlanContext = Parameters<NonNullable<typeof imageReplica.modifyPlan>>[1];
type PlanConfigOf = Parameters<NonNullable<typeof imageReplica.modifyPlan>>[0]["config"];

/** What of a configuration says which bytes are to be where. */
type Choice = Pick<Replica, "source" | "exact" | "format" | "bandwidth"> & {
  readonly digest: string | null;
};

function requestOf(site: string, choice: Choice, client: Client): TransferRequest {
  const { source, digest, exact, format, bandwidth } = choice;
  return {
    ...{ site, source: client.path(source), digest: digest ?? undefined, exact: exact ?? false },
    format: formatOf(format),
    bandwidth: bandwidthPlan(bandwidth),
  };
}

function formatOf(format: string | null): ImageFormat | undefined {
  return format === "raw" || format === "qcow2" ? format : undefined;
}

/** The digest that the replica should have now; undefined if only an apply will tell. */
async function presentDigest(
  prior: Replica,
  config: PlanConfigOf,
  ctx: PlanContext,
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

function whatIsKnown({ site, bandwidth }: TransferRequest, { digest, sizeBytes, estimate }: TransferPreview) {
  const { totalBytes, inUseBytes, presentBytes, sendBytes, etaMs, rateBps } = estimate;
  const capBps = fixedCapBps(bandwidth) ?? rateBps;
  const transfer: Transfer = {
    total_bytes: totalBytes,
    in_use_bytes: inUseBytes,
    present_bytes: presentBytes,
    send_bytes: sendBytes,
    ratio: totalBytes > 0 ? Math.round((sendBytes / totalBytes) * 1_000) / 1_000 : 0,
    eta: formatDuration(capBps < rateBps ? (etaMs * rateBps) / capBps : etaMs),
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
