import { isDeepStrictEqual } from "node:util";
import { randomUUID } from "node:crypto";
import { checkImageIsThere, launchPool, parseSiteAnd, poolId, takeDownPool } from "../../../lib/steps";
import { defineResource, isUnknown, type PrivateState } from "../plugin";
import { inAttributes } from "./attributes";
import type { Client } from "./client";
import { keptThroughSilence } from "./patience";
import { refuseBrokenBalancer } from "./parts";
import { poolSchema } from "./pool-schema";
import { addressOf, keepPoolDurations, poolSpec, poolState } from "./pool-state";
import { deadlineMs, stepContext } from "./step-context";

/** Private note: which declaration of the pool this is. */
const CLAIM = "claim";

/** Steps 2 and 5 as a resource: members that run an image behind a site's local balancer. */
export const pool = defineResource<Client>()({
  description:
    "Members launched from an image at a site, behind its local balancer. Creating it launches them; destroying it drains each, then ends it. Whether they are available is said by a `spillway_gate`.",
  schema: poolSchema,

  validate({ config, error }) {
    const { listen, affinity, hosts } = config;
    if (isUnknown(listen) || listen.mode !== "tcp") return;
    if (!isUnknown(hosts) && hosts?.length) {
      error(
        "hosts",
        "`hosts` must be left out for a pool in mode tcp",
        "Only HTTP says which host is asked for: leave it out.",
      );
    }
    if (isUnknown(affinity) || affinity === "none") return;
    error(
      "affinity",
      '`affinity` must be "none" for a pool in mode tcp',
      'A cookie is part of HTTP: set `affinity = "none"`.',
    );
  },

  async modifyPlan({ prior, plan }, ctx) {
    const { client } = ctx;
    if (prior) keepPoolDurations(plan, prior);
    plan.status = "ready";
    const { site, name, listen, image_digest: digest } = plan;
    if (!isUnknown(site) && !isUnknown(name)) plan.id = poolId({ site, name });
    if (!isUnknown(listen) && !isUnknown(listen.address) && !isUnknown(listen.port)) {
      plan.address = addressOf({ address: listen.address, port: listen.port });
    }
    if (!client.canAsk(site, ["site"])) return;
    const { timeouts: _planned, ...wanted } = plan;
    const { timeouts: _prior, ...present } = prior ?? { timeouts: null };
    if (!isDeepStrictEqual(wanted, present)) await refuseBrokenBalancer(site, ctx);
    if (isUnknown(name) || isUnknown(digest)) return;
    if (prior?.image_digest === digest && prior.status === "ready") return;
    if (client.isPromised(site, digest)) return;
    await checkImageIsThere(client.sites, { site, name }, digest, stepContext(ctx));
  },

  async create({ planned }, ctx) {
    const { site, name } = planned;
    const spec = poolSpec(planned, newClaim(ctx.privateState));
    const request = { site, name, spec, deadlineMs: deadlineMs(ctx), undo: true };
    await inAttributes(() => launchPool(ctx.client.sites, request, stepContext(ctx)));
    return { ...planned, id: poolId(planned), address: addressOf(planned.listen), status: "ready" };
  },

  async read({ state }, ctx) {
    const client = ctx.client.sites.get(state.site);
    return keptThroughSilence(state.site, state, ctx, async (options) => {
      const status = await client.pool(state.name, options);
      return status?.spec.owner === state.owner ? poolState(status, state) : null;
    });
  },

  async update({ planned }, ctx) {
    const { site, name } = planned;
    const claim = claimOf(ctx.privateState) ?? newClaim(ctx.privateState);
    const request = { site, name, spec: poolSpec(planned, claim), deadlineMs: deadlineMs(ctx) };
    await inAttributes(() => launchPool(ctx.client.sites, request, stepContext(ctx)));
    return { ...planned, id: poolId(planned), address: addressOf(planned.listen), status: "ready" };
  },

  async delete({ state }, ctx) {
    const { site, name, owner } = state;
    const request = { site, name, owner, claim: claimOf(ctx.privateState), deadlineMs: deadlineMs(ctx) };
    await takeDownPool(ctx.client.sites, request, stepContext(ctx));
  },

  async importState({ id }, ctx) {
    const { site, rest: name } = parseSiteAnd(id, "NAME");
    const status = await ctx.client.sites.get(site).pool(name, { signal: ctx.signal });
    if (!status) return null;
    ctx.privateState.set(CLAIM, status.spec.claim);
    return poolState(status);
  },
});

/**
 * With `create_before_destroy`, a pool that is replaced under the same name is declared anew before its old declaration is taken
 * down. The claim keeps that take-down from hitting the new one.
 */
function newClaim(notes: PrivateState): string {
  const claim = randomUUID();
  notes.set(CLAIM, claim);
  return claim;
}

function claimOf(notes: PrivateState): string | undefined {
  const claim = notes.get(CLAIM);
  return typeof claim === "string" ? claim : undefined;
}
