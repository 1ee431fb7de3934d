import { randomUUID } from "node:crypto";
import { SpillwayError } from "../../../lib/errors";
import { QueryError } from "../../../lib/observers";
import { awaitObservedQuiet, openObservedGate, parseProbedEndpoint } from "../../../lib/steps";
import type { TargetGroupObserver } from "../../aws/observers";
import { isUnknown, type ResourceContext, type State, type Unknown } from "../plugin";
import type { Client } from "./client";
import { ms } from "./durations";
import type { gateSchema } from "./gate-schema";
import { monitorSpec } from "./monitor";
import { queriesOf } from "./prometheus";
import { deadlineMs, stepContext } from "./step-context";

type Context = ResourceContext<Client>;
type Gate = State<typeof gateSchema>;
/** A gate's `aws`, wholly known. */
export type GateAws = NonNullable<Gate["aws"]>;

const READ_MS = 10_000;
const MINUTE_MS = 60_000;

/** A target group's ARN, in as far as a gate's names follow from it. */
export function groupOf(arn: string): { readonly region: string; readonly name: string } {
  const [, , , region = "", , rest = ""] = arn.split(":");
  return { region, name: rest.split("/")[1] ?? "" };
}

/** `aws/REGION`; undefined when only an apply will tell. */
export function awsSite(aws: {
  readonly region: string | Unknown | null;
  readonly target_group_arn: string | Unknown;
}): string | undefined {
  if (isUnknown(aws.region)) return undefined;
  if (aws.region !== null) return `aws/${aws.region}`;
  return isUnknown(aws.target_group_arn) ? undefined : `aws/${groupOf(aws.target_group_arn).region}`;
}

/** Opens it. @returns its id and site */
export async function openAwsGate(
  gate: Pick<Gate, "monitor" | "successes" | "min_members" | "open_when">,
  aws: GateAws,
  ctx: Context,
): Promise<{ readonly id: string; readonly site: string }> {
  const { name, region } = groupOf(aws.target_group_arn);
  const site = `aws/${aws.region ?? region}`;
  const endpoint = aws.endpoint === null ? undefined : parseProbedEndpoint(aws.endpoint);
  await observing(aws, 0, async (pool) =>
    openObservedGate(
      {
        subject: `${site}/${name}`,
        pool,
        monitor: monitorSpec(gate.monitor),
        successes: gate.successes,
        minMembers: gate.min_members ?? undefined,
        endpoint,
        openWhen: queriesOf(gate.open_when),
        observer: ctx.client.queryObserver(gate.open_when, "open_when"),
        deadlineMs: deadlineMs(ctx),
      },
      stepContext(ctx),
    ),
  );
  return { id: `${site}/${name}#${randomUUID()}`, site };
}

/** Closes it: returns when no user is left. */
export async function closeAwsGate(gate: Gate, aws: GateAws, ctx: Context): Promise<void> {
  const quietPeriodMs = ms(gate.quiet_period);
  await observing(aws, quietPeriodMs, (pool) =>
    awaitObservedQuiet(
      {
        subject: `${gate.site}/${groupOf(aws.target_group_arn).name}`,
        pool,
        quietPeriodMs,
        recordTtlMs: gate.record_ttl * 1_000,
        onDeadline: gate.on_deadline === "force" ? "force" : "hold",
        users: queriesOf(gate.users),
        observer: ctx.client.queryObserver(gate.users, "users"),
        deadlineMs: deadlineMs(ctx),
      },
      stepContext(ctx),
    ),
  );
}

/** Nobody keeps a mark of it: it is gone when its target group is. What cannot be asked has not said so. */
export async function readAwsGate(gate: Gate, aws: GateAws, ctx: Context): Promise<Gate | null> {
  try {
    const signal = AbortSignal.any([ctx.signal, AbortSignal.timeout(READ_MS)]);
    return (await observing(aws, 0, (pool) => pool.exists(signal))) ? gate : null;
  } catch (error) {
    if (ctx.signal.aborted) throw error;
    const problem = error instanceof SpillwayError ? error.report.problem : "it gave no answer in time";
    const mend = error instanceof QueryError ? ` ${error.report.mend}` : "";
    ctx.warn(
      "AWS cannot be asked whether the target group is there: what the state says of the gate is kept",
      {
        detail: `${problem.charAt(0).toUpperCase()}${problem.slice(1)}.${mend}`,
        path: ["aws", "target_group_arn"],
      },
    );
    return gate;
  }
}

/** The ARN behind `aws/REGION/TARGETGROUP`; undefined when it is none, or there is no such group. */
export async function importedGroup(
  id: string,
  signal: AbortSignal,
): Promise<{ readonly region: string; readonly name: string; readonly arn: string } | undefined> {
  const [, region, name] = /^aws\/([^/#]+)\/([^/#]+)$/.exec(id) ?? [];
  if (region === undefined || name === undefined) return undefined;
  const { findTargetGroupByName } = await import("../../aws/observers/index.js");
  const arn = await findTargetGroupByName(region, name, signal);
  return arn === undefined ? undefined : { region, name, arn };
}

async function observing<T>(
  aws: GateAws,
  quietPeriodMs: number,
  act: (pool: TargetGroupObserver) => Promise<T>,
): Promise<T> {
  // Its clients are large: only a gate on AWS loads them.
  const { TargetGroupObserver } = await import("../../aws/observers/index.js");
  const pool = new TargetGroupObserver({
    targetGroupArn: aws.target_group_arn,
    loadBalancerArn: aws.load_balancer_arn ?? undefined,
    autoScalingGroup: aws.auto_scaling_group ?? undefined,
    region: aws.region ?? undefined,
    windowMs: Math.max(60 * MINUTE_MS, quietPeriodMs + 15 * MINUTE_MS),
  });
  try {
    return await act(pool);
  } finally {
    pool.close();
  }
}
