import { randomUUID } from "node:crypto";
import {
  gateId,
  openGate,
  parseGateId,
  parsePoolId,
  poolId,
  siphonUsers,
  tryParsePoolId,
} from "../../../lib/steps";
import { defineResource, isUnknown, UNKNOWN } from "../plugin";
import { checkQueries } from "./check-queries";
import type { Client } from "./client";
import { ms } from "./durations";
import { awsSite, closeAwsGate, importedGroup, openAwsGate, readAwsGate } from "./gate-aws";
import { gateSchema } from "./gate-schema";
import { monitorSpec } from "./monitor";
import { keptThroughSilence } from "./patience";
import { queriesOf } from "./prometheus";
import { deadlineMs, stepContext } from "./step-context";

/** The heart of a burst as a resource: opens when a pool is available, closes when its last user has left. */
export const gate = defineResource<Client>()({
  description:
    "Opens (is created) when the pool behind it is available, seen from outside. Closes (is destroyed) when no user is left: it asks users to move, waits until stale answers are over, then until the sessions observed have been zero for the quiet period. With `aws` it stands beside any aws_lb: opens when its targets are healthy, and closes when the load balancer has no users (docs/aws-gate.md). Of a `pool`, set `create_before_destroy` on it and on its pool, so that a record that refers to it is changed before it closes.",
  schema: gateSchema,

  validate({ config: { pool, aws }, error }) {
    if (isUnknown(pool) || isUnknown(aws)) return;
    if (pool !== null && aws !== null) {
      error("aws", "A gate has either `pool` or `aws`, and here are both", "Leave one of them out.");
    } else if (pool === null && aws === null) {
      error(
        "pool",
        "A gate has either `pool` or `aws`, and here is neither",
        "Give the id of a pool, or `aws = { target_group_arn = … }`.",
      );
    }
  },

  async modifyPlan({ prior, plan, requireReplace }, ctx) {
    const { client } = ctx;
    await checkQueries(client, "open_when", plan.open_when, ctx);
    await checkQueries(client, "users", plan.users, ctx);
    if (!isUnknown(plan.aws) && plan.aws !== null) {
      const site = awsSite(plan.aws);
      plan.site = site ?? UNKNOWN;
      // To name the region that it is in already changes nothing.
      if (prior && site !== undefined && site !== prior.site) requireReplace(["aws", "region"]);
      return;
    }
    if (isUnknown(plan.pool) || plan.pool === null) return;
    const { site } = parsePoolId(plan.pool);
    plan.site = site;
    client.canAsk(site, ["pool"]);
  },

  async create({ planned }, ctx) {
    if (planned.aws !== null) return { ...planned, ...(await openAwsGate(planned, planned.aws, ctx)) };
    const name = { ...parsePoolId(planned.pool ?? ""), generation: randomUUID() };
    const { id } = await openGate(
      ctx.client.sites,
      {
        ...name,
        monitor: monitorSpec(planned.monitor),
        successes: planned.successes,
        minMembers: planned.min_members ?? undefined,
        openWhen: queriesOf(planned.open_when),
        observer: ctx.client.queryObserver(planned.open_when, "open_when"),
        deadlineMs: deadlineMs(ctx),
      },
      stepContext(ctx),
    );
    return { ...planned, id, site: name.site };
  },

  async read({ state }, ctx) {
    if (state.aws !== null) return readAwsGate(state, state.aws, ctx);
    const { site, name, generation } = parseGateId(state.id);
    const client = ctx.client.sites.get(site);
    return keptThroughSilence(site, state, ctx, async (options) => {
      const status = await client.pool(name, options);
      return status?.gate?.generation === generation ? state : null;
    });
  },

  // How it opens mattered then, how it closes matters later.
  update: ({ prior, planned }) => ({ ...planned, id: prior.id, site: prior.site }),

  async delete({ state }, ctx) {
    if (state.aws !== null) return closeAwsGate(state, state.aws, ctx);
    await siphonUsers(
      ctx.client.sites,
      {
        ...parseGateId(state.id),
        quietPeriodMs: ms(state.quiet_period),
        recordTtlMs: state.record_ttl * 1_000,
        onDeadline: state.on_deadline === "force" ? "force" : "hold",
        users: queriesOf(state.users),
        observer: ctx.client.queryObserver(state.users, "users"),
        deadlineMs: deadlineMs(ctx),
      },
      stepContext(ctx),
    );
  },

  async importState({ id }, ctx) {
    const [name = id] = id.split("#");
    const group = await importedGroup(name, ctx.signal);
    if (group) {
      const { arn, region } = group;
      return {
        ...IMPORTED,
        id: `${name}#${randomUUID()}`,
        site: `aws/${region}`,
        pool: null,
        aws: { ...NO_AWS, region: null, target_group_arn: arn },
      };
    }
    if (name.startsWith("aws/") && tryParsePoolId(name) === undefined) return null;
    const pool = parsePoolId(name);
    const status = await ctx.client.sites.get(pool.site).pool(pool.name, { signal: ctx.signal });
    if (!status?.gate) return null;
    const { generation } = status.gate;
    return {
      ...IMPORTED,
      id: gateId({ ...pool, generation }),
      pool: poolId(pool),
      site: pool.site,
      aws: null,
    };
  },
});

const NO_AWS = { load_balancer_arn: null, auto_scaling_group: null, endpoint: null };
/** What nobody keeps of a gate: its defaults. */
const IMPORTED = {
  ...{ successes: 3, min_members: null, timeouts: null, open_when: null, users: null },
  ...{ quiet_period: "10s", record_ttl: 30, on_deadline: "hold" },
  monitor: {
    type: "http",
    path: "/",
    expect_status: 200,
    interval: "1s",
    timeout: "1s",
    rise: 2,
    fall: 3,
  },
};
