import { isDeepStrictEqual } from "node:util";
import type { RecordAnswer, RecordSpec } from "../../../lib/site/api";
import { directUsers, findRecord, parseSiteAnd, removeRecord, sameAnswers } from "../../../lib/steps";
import {
  a,
  defineResource,
  isUnknown,
  timeouts,
  type Known,
  type Plan,
  type PlanConfig,
  type State,
} from "../plugin";
import { inAttributes } from "./attributes";
import { isAtLeast, isBetween, isNotEmpty, isPositiveDuration, isSiteName } from "./checks";
import type { Client } from "./client";
import { ms } from "./durations";
import { sayWhatBecomesOf } from "./record-plan";
import { answerProblems, isFqdn, type KnownAnswer } from "./record-rules";
import { stepContext } from "./step-context";

const isRecordName = (text: string) =>
  isFqdn(text)
    ? undefined
    : {
        problem: "must be a fully qualified domain name",
        mend: "Write it as shop.example.org: letters, digits and dashes.",
      };

const answerAttributes = {
  site: a.string().describe("The site that is answered with. Once in a set."),
  address: a.string().describe("Its IPv4 address, IPv6 address or host name. One kind in a set."),
  weight: a
    .integer()
    .describe("Percentage of users, 1 to 100; all add up to 100. A site that is out of service is left out."),
  pool: a
    .string()
    .optional()
    .describe(
      "The id of the pool there. With it, users who keep a connection are moved as well: once the record's TTL has passed, as many as the weights need are asked, each once, to connect anew.",
    ),
  gate: a
    .string()
    .optional()
    .describe("The id of the pool's gate: users are sent there only after it opened."),
};

const rampAttributes = {
  steps: a
    .list(
      a
        .number()
        .check((value) => (value <= 0 || value > 100 ? "must be above 0 and at most 100" : undefined)),
    )
    .check((steps) => {
      const falls = steps.some((step, at) => at > 0 && Number(step) <= Number(steps[at - 1]));
      if (steps.length === 0) return "must have at least one step";
      return falls ? "must rise from step to step" : undefined;
    })
    .describe("How far on the way to the new weights, in percent, after each step. The last is always 100."),
  interval: a.string().check(isPositiveDuration).describe("From one step to the next."),
  abort_above_failed: a
    .number()
    .default(0)
    .check(isAtLeast(0))
    .describe(
      "Failed answers per second, at a site whose share is raised, above which the previous weights are put back.",
    ),
};

const schema = {
  id: a.string().computed().keepPrior().describe("`NAME_SERVER/NAME`."),
  name: a.string().forceNew().check(isRecordName).describe("The fully qualified name that users ask for."),
  name_server: a.string().forceNew().check(isSiteName).describe("The site whose name server answers for it."),
  owner: a
    .string()
    .default("terraform")
    .check(isNotEmpty)
    .describe("Who declares it. A record of another owner is never taken over, changed or removed."),
  ttl: a
    .integer()
    .default(30)
    .check(isBetween(1, 86_400))
    .describe("Seconds for which an answer may be kept."),
  answers: a
    .nestedList(answerAttributes)
    .describe("Where users are sent. At least one; weights add up to 100."),
  ramp: a
    .nested(rampAttributes)
    .optional()
    .describe("Go to new weights in steps, and back at the first sign of trouble. Default: in one step."),
  timeouts: timeouts({ create: "10m", update: "1h", delete: "5m" }),
};

type Record = State<typeof schema>;
type Answer = State<typeof answerAttributes>;

/** Step 3's last part as a resource: a name that is answered with weights. */
export const globalRecord = defineResource<Client>()({
  description:
    "A name that is answered with weighted sites. Changing it moves users, those who keep a connection too; a site's share ends by leaving its answer out.",
  schema,

  validate({ config, error }) {
    for (const { path, problem, mend } of answerProblems(knownAnswers(config))) {
      error([...path] as ["answers"], `\`${pathText(path)}\` ${problem}`, mend);
    }
  },

  async modifyPlan({ prior, plan }, ctx) {
    const { name, name_server: nameServer } = plan;
    const canAsk = ctx.client.canAsk(nameServer, ["name_server"]);
    if (!isUnknown(nameServer) && !isUnknown(name)) plan.id = recordId(nameServer, name);
    const spec = specOf(plan);
    if (!canAsk || isUnknown(name) || !spec) return;
    const isSame = prior?.id === plan.id && isDeepStrictEqual(spec, specOf(prior as typeof plan));
    if (!isSame) await sayWhatBecomesOf({ name, nameServer, spec, isNew: prior === null }, ctx);
  },

  async create({ planned }, ctx) {
    await direct(planned as Known<typeof planned>, undefined, ctx);
    return { ...planned, id: recordId(planned.name_server, planned.name) };
  },

  async read({ state }, ctx) {
    const found = await findRecord(
      ctx.client.sites,
      { ...state, nameServer: state.name_server },
      stepContext(ctx),
    );
    if (!found || found.spec.owner !== state.owner) return null;
    return {
      ...state,
      ttl: found.spec.ttlSeconds,
      answers: sameAnswers(state.answers.map(toAnswer), found.spec.answers)
        ? state.answers
        : found.spec.answers.map((answer) => fromAnswer(answer, state.answers)),
    };
  },

  async update({ prior, planned }, ctx) {
    await direct(planned as Known<typeof planned>, prior, ctx);
    return { ...planned, id: prior.id };
  },

  async delete({ state }, ctx) {
    await removeRecord(ctx.client.sites, { ...state, nameServer: state.name_server }, stepContext(ctx));
  },

  async importState({ id }, ctx) {
    const { site: nameServer, rest: name } = parseSiteAnd(id, "NAME");
    const found = await findRecord(ctx.client.sites, { nameServer, name }, stepContext(ctx));
    if (!found) return null;
    const { owner, ttlSeconds, answers } = found.spec;
    return {
      ...{ id: recordId(nameServer, name), name, name_server: nameServer, owner, ttl: ttlSeconds },
      ...{ answers: answers.map((answer) => fromAnswer(answer, [])), ramp: null, timeouts: null },
    };
  },
});

type Context = Parameters<typeof globalRecord.create>[1];

async function direct(planned: Omit<Record, "id">, prior: Record | undefined, ctx: Context): Promise<void> {
  const { name, name_server: nameServer, owner, ttl, ramp } = planned;
  const spec: RecordSpec = { owner, ttlSeconds: ttl, answers: planned.answers.map(toAnswer) };
  const request = {
    name,
    nameServer,
    spec,
    prior: prior?.answers.map(toAnswer),
    ramp: ramp
      ? {
          stepsPercent: ramp.steps,
          intervalMs: ms(ramp.interval),
          abortAboveFailed: ramp.abort_above_failed,
        }
      : undefined,
  };
  await inAttributes(() => directUsers(ctx.client.sites, request, stepContext(ctx)));
}

/** What the name server would be told; undefined while that is not known. A pool that only the apply makes is left out. */
function specOf({ owner, ttl, answers }: Plan<typeof schema>): RecordSpec | undefined {
  if (isUnknown(owner) || isUnknown(ttl) || isUnknown(answers)) return undefined;
  const known: RecordAnswer[] = [];
  for (const answer of answers) {
    if (isUnknown(answer)) return undefined;
    const { site, address, weight, pool } = answer;
    if (isUnknown(site) || isUnknown(address) || isUnknown(weight)) return undefined;
    known.push(toAnswer({ site, address, weight, pool: isUnknown(pool) ? null : pool, gate: null }));
  }
  return { owner, ttlSeconds: ttl, answers: known };
}

function recordId(nameServer: string, name: string): string {
  return `${nameServer}/${name}`;
}

function toAnswer({ site, address, weight, pool }: Answer): RecordAnswer {
  return pool === null ? { site, address, weight } : { site, address, weight, pool };
}

function fromAnswer({ site, address, weight, pool }: RecordAnswer, before: readonly Answer[]): Answer {
  const known = before.find((answer) => answer.site === site);
  return { site, address, weight, pool: pool ?? known?.pool ?? null, gate: known?.gate ?? null };
}

function knownAnswers({ answers }: PlanConfig<typeof schema>): KnownAnswer[] {
  if (isUnknown(answers)) return [{}];
  return answers.map((answer) => {
    if (isUnknown(answer)) return {};
    const known = Object.entries(answer).filter(([, value]) => !isUnknown(value) && value !== null);
    return Object.fromEntries(known) as KnownAnswer;
  });
}

function pathText(path: readonly (string | number)[]): string {
  return path
    .map((step, at) => (typeof step === "number" ? `[${step}]` : at === 0 ? step : `.${step}`))
    .join("");
}
