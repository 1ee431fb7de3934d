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
import { a, defineResource, isUnknown, timeouts } from "../plugin";
import { isAtLeast, isDuration, isOneOf } from "./checks";
import type { Client } from "./client";
import { ms } from "./durations";
import { monitorAttributes, monitorSpec } from "./monitor";
import { keptThroughSilence } from "./patience";
import { checkQueries } from "./check-queries";
import { queriesAttribute, queriesOf } from "./prometheus";
import { deadlineMs, stepContext } from "./step-context";

const isPoolId = (text: string) =>
  tryParsePoolId(text)
    ? undefined
    : { problem: "must be a pool's id", mend: "Refer to the `id` of a pool (SITE/NAME)." };

const schema = {
  id: a.string().computed().keepPrior().describe("`SITE/NAME#GENERATION`."),
  pool: a.string().forceNew().check(isPoolId).describe("The id of the pool behind it."),
  monitor: a
    .nested(monitorAttributes("1s"))
    .default({})
    .describe("How the pool is probed, from the machine that runs Terraform. Used when the gate opens."),
  successes: a
    .integer()
    .default(3)
    .check(isAtLeast(1))
    .describe(
      "Good answers in a row that open it. A bad one, or a member that goes down meanwhile, begins the row anew.",
    ),
  min_members: a
    .integer()
    .optional()
    .check(isAtLeast(1))
    .describe("Members that must be up. Default: all the pool's members."),
  open_when: queriesAttribute(
    "PromQL by name: for each good answer of the row, every one must give at least one number, and none that is 0, NaN or infinite. No data does not hold. Write comparisons that hold for 0 with `bool`: `errors == bool 0`.",
  ),
  users: queriesAttribute(
    "PromQL by name: users whom others see. It closes only when each has been 0 for the quiet period as well; no data is not 0. Let `quiet_period` be longer than the scrape interval.",
  ),
  quiet_period: a
    .string()
    .default("10s")
    .check(isDuration)
    .describe("It closes when no session was seen for so long."),
  record_ttl: a
    .integer()
    .default(30)
    .check(isAtLeast(0))
    .describe(
      "Seconds for which stale answers may live after the record's change. It does not close before they are over.",
    ),
  on_deadline: a
    .string()
    .default("hold")
    .check(isOneOf("hold", "force"))
    .describe(
      "What happens when users are still there at `timeouts.delete`. `hold`: nothing is taken down and the apply fails. `force`: they are cut off.",
    ),
  timeouts: timeouts({ create: "5m", delete: "1h" }),
  site: a.string().computed().keepPrior().describe("The pool's site."),
};

/** The heart of a burst as a resource: opens when a pool is available, closes when its last user has left. */
export const gate = defineResource<Client>()({
  description:
    "Opens (is created) when the pool behind it is available, seen from outside. Closes (is destroyed) when no user is left: it asks users to move, waits until stale answers are over, then until the sessions observed have been zero for the quiet period. Set `create_before_destroy` on it and on its pool, so that a record that refers to it is changed before it closes.",
  schema,

  async modifyPlan({ plan }, ctx) {
    const { client } = ctx;
    await checkQueries(client, "open_when", plan.open_when, ctx);
    await checkQueries(client, "users", plan.users, ctx);
    if (isUnknown(plan.pool)) return;
    const { site } = parsePoolId(plan.pool);
    plan.site = site;
    client.canAsk(site, ["pool"]);
  },

  async create({ planned }, ctx) {
    const name = { ...parsePoolId(planned.pool), generation: randomUUID() };
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
    const { site, name } = parsePoolId(id.split("#")[0] ?? id);
    const status = await ctx.client.sites.get(site).pool(name, { signal: ctx.signal });
    if (!status?.gate) return null;
    return {
      id: gateId({ site, name, generation: status.gate.generation }),
      ...{ pool: poolId({ site, name }), site, successes: 3, min_members: null, timeouts: null },
      ...{ open_when: null, users: null },
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
  },
});
