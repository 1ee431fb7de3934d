import type { PoolMonitor } from "./bindings/pool";
import { hclDuration } from "./durations";
import { durationRule, refuse, rule, wholeRule } from "./validate";

export interface HealthMonitorProps {
  /**
   * `http`: GET `path` and compare the status. `tcp`: a connection is enough.
   * @default "http"
   */
  readonly type?: "http" | "tcp";
  /**
   * What is asked for; begins with a slash. Only for `http`.
   * @default "/"
   */
  readonly path?: string;
  /**
   * The status of a good answer. Only for `http`.
   * @default 200
   */
  readonly expectStatus?: number;
  /**
   * Milliseconds from one probe to the next.
   * @default 2000, at a gate 1000
   */
  readonly intervalMs?: number;
  /**
   * Milliseconds after which an answer is a bad one. At most `intervalMs`.
   * @default 1000, or `intervalMs` if that is less
   */
  readonly timeoutMs?: number;
  /**
   * Good answers in a row that make a member up.
   * @default 2
   */
  readonly rise?: number;
  /**
   * Bad answers in a row that make a member down.
   * @default 3
   */
  readonly fall?: number;
}

/**
 * How health is judged: by the local balancer for each member, by the gate for the site from outside. A value, not a resource.
 *
 * @example
 * const monitor = new HealthMonitor({ path: "/healthz", intervalMs: 1_000 });
 */
export class HealthMonitor {
  /** @throws SpillwayError, SpillwayErrors on a bad prop */
  constructor(readonly props: HealthMonitorProps = {}) {
    const { type = "http", path, expectStatus, intervalMs, timeoutMs, rise, fall } = props;
    refuse("HealthMonitor", [
      rule(
        path === undefined || /^\/[\x21-\x7e]*$/.test(path),
        "path",
        `must begin with a slash and hold no spaces, got ${JSON.stringify(path)}`,
        "Give the path of a URL, such as /healthz.",
      ),
      rule(
        type === "http" || (path === undefined && expectStatus === undefined),
        "type",
        "is tcp, which asks for no `path` and knows no `expectStatus`",
        "Leave them out, or use http.",
      ),
      wholeRule("expectStatus", expectStatus, 100, "Give an HTTP status, such as 200.", 599),
      durationRule("intervalMs", intervalMs, 100),
      durationRule("timeoutMs", timeoutMs, 10),
      rule(
        timeoutMs === undefined || timeoutMs <= (intervalMs ?? 1_000),
        "timeoutMs",
        `must be at most \`intervalMs\` (${intervalMs ?? "not given; 1000 at a gate"}), got ${timeoutMs}`,
        "Probe less often, or wait less long.",
      ),
      wholeRule("rise", rise, 1, "1 trusts the first good answer."),
      wholeRule("fall", fall, 1, "1 distrusts after the first bad answer."),
    ]);
  }

  /**
   * As the provider's attribute; what was not given is left to the provider's defaults.
   * @internal
   */
  render(): PoolMonitor {
    const { type, path, expectStatus, intervalMs, rise, fall } = this.props;
    const timeoutMs =
      this.props.timeoutMs ?? (intervalMs !== undefined && intervalMs < 1_000 ? intervalMs : undefined);
    return {
      type,
      path,
      expectStatus,
      interval: hclDuration(intervalMs),
      timeout: hclDuration(timeoutMs),
      rise,
      fall,
    };
  }
}
