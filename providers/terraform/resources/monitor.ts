import type { MonitorSpec } from "../../../lib/site/api";
import { a, type Plan, type State } from "../plugin";
import { isAtLeast, isBetween, isOneOf, isPositiveDuration } from "./checks";
import { durationText, ms, sameDuration } from "./durations";

const isPath = (text: string) =>
  /^\/[\x21-\x7e]*$/.test(text) ? undefined : "must begin with a slash and have no blanks";

/** The attributes of a monitor, the same for pools (each member) and gates (the whole pool, from outside). */
export function monitorAttributes(defaultInterval: string) {
  return {
    type: a
      .string()
      .default("http")
      .check(isOneOf("http", "tcp"))
      .describe("`http`: GET `path` and compare the status. `tcp`: a connection is enough."),
    path: a.string().default("/").check(isPath).describe("What is asked for, with `type` http."),
    expect_status: a
      .integer()
      .default(200)
      .check(isBetween(100, 599))
      .describe("The status of a good answer."),
    interval: a
      .string()
      .default(defaultInterval)
      .check(isPositiveDuration)
      .describe("From one probe to the next."),
    timeout: a
      .string()
      .default("1s")
      .check(isPositiveDuration)
      .describe("An answer that takes longer is bad."),
    rise: a
      .integer()
      .default(2)
      .check(isAtLeast(1))
      .describe("Good answers in a row that make a member up. A gate counts its `successes` instead."),
    fall: a
      .integer()
      .default(3)
      .check(isAtLeast(1))
      .describe(
        "Bad answers in a row that make a member down. At a gate a single bad answer begins the row anew.",
      ),
  };
}

export type MonitorAttributes = ReturnType<typeof monitorAttributes>;

export function monitorSpec(monitor: State<MonitorAttributes>): MonitorSpec {
  return {
    type: monitor.type === "tcp" ? "tcp" : "http",
    path: monitor.path,
    expectStatus: monitor.expect_status,
    intervalMs: ms(monitor.interval),
    timeoutMs: ms(monitor.timeout),
    rise: monitor.rise,
    fall: monitor.fall,
  };
}

export function monitorState(
  spec: MonitorSpec,
  before?: State<MonitorAttributes> | null,
): State<MonitorAttributes> {
  return {
    type: spec.type,
    path: spec.path,
    expect_status: spec.expectStatus,
    interval: durationText(spec.intervalMs, before?.interval),
    timeout: durationText(spec.timeoutMs, before?.timeout),
    rise: spec.rise,
    fall: spec.fall,
  };
}

/** Durations that mean the same as before are no change. */
export function keepMonitorDurations(plan: Plan<MonitorAttributes>, prior: State<MonitorAttributes>): void {
  plan.interval = sameDuration(plan.interval, prior.interval);
  plan.timeout = sameDuration(plan.timeout, prior.timeout);
}
