import { Token } from "cdktf";
import { Construct } from "constructs";
import type { IConstruct } from "constructs";
import { Gate as GateBinding } from "./bindings/gate";
import type { Condition } from "./condition";
import { attributeOf, countOf } from "./condition";
import { hclDuration } from "./durations";
import type { HealthMonitor } from "./health-monitor";
import type { IPool } from "./pool";
import { SpillwayProvider } from "./spillway-provider";
import { durationRule, refuse, rule, wholeRule } from "./validate";
import type { Rule } from "./validate";

/** How carefully a gate opens and closes. */
export interface GateTuning {
  /**
   * How the gate probes the pool, from outside.
   * @default - as the pool's local balancer probes its members
   */
  readonly monitor?: HealthMonitor;
  /**
   * Good answers in a row, from enough members, that open the gate.
   * @default 3
   */
  readonly successes?: number;
  /**
   * Members that must be up.
   * @default - all the pool's members
   */
  readonly minMembers?: number;
  /**
   * PromQL by name: for each good answer of the row, every one must give a number other than 0. No data does not hold. Asked of the
   * provider's `prometheus`.
   * @default - none
   * @example { warm: "min(cache_fill_ratio{site='cloud'}) > 0.9" }
   */
  readonly openWhen?: Readonly<Record<string, string>>;
  /**
   * PromQL by name: users whom others see. The gate closes only when each has been 0 for the quiet period as well; no data is not 0.
   * @default - the pool's balancer alone is asked
   */
  readonly users?: Readonly<Record<string, string>>;
  /**
   * Milliseconds without one session that let the gate close.
   * @default 10000
   */
  readonly quietPeriodMs?: number;
  /**
   * What happens when users are still there at `closeTimeoutMs`. `hold`: nothing is taken down, and the apply fails. `force`: they
   * are cut off.
   * @default "hold"
   */
  readonly onDeadline?: "hold" | "force";
  /**
   * Milliseconds that the pool may take to become available. After that the gate fails: users stay where they were, and the next
   * apply launches the pool's members anew.
   * @default 300000
   */
  readonly openTimeoutMs?: number;
  /**
   * Milliseconds that the last user may take to leave.
   * @default 3600000
   */
  readonly closeTimeoutMs?: number;
}

export interface GateProps extends GateTuning {
  /** What stands behind the gate. Another pool is another gate. */
  readonly pool: IPool;
  /**
   * Seconds for which stale answers of the record may live after its change.
   * @default 30
   */
  readonly recordTtlSeconds?: number;
  /**
   * The gate is there only while this is true.
   * @default - while its pool is
   */
  readonly when?: Condition;
}

/** What users must pass to reach a pool. */
export interface IGate extends IConstruct {
  /** Depending on it is waiting for the pool to be available. */
  readonly gateId: string;
  readonly pool: IPool;
  /** When it is there; undefined for always. */
  readonly condition?: Condition;
}

/**
 * Opens (is created) when the pool is really available, seen from outside. Closes (is destroyed) when no user is left: it asks
 * users to move, waits until stale answers have died out, then until the sessions *observed* have been zero for a quiet period.
 *
 * @example
 * const gate = new Gate(stack, "gate", { pool, successes: 5 });
 */
export class Gate extends Construct implements IGate {
  /** The generated class, for what this one does not offer. */
  readonly resource: GateBinding;
  readonly gateId: string;
  readonly pool: IPool;
  readonly condition?: Condition;

  /** @throws SpillwayError, SpillwayErrors on bad props */
  constructor(scope: Construct, id: string, props: GateProps) {
    super(scope, id);
    refuse(this.node.path, gateRules(props, props.pool.members, props.recordTtlSeconds));
    SpillwayProvider.of(this).use(props.pool.site);
    this.pool = props.pool;
    this.condition = props.when ?? props.pool.condition;
    const { openTimeoutMs, closeTimeoutMs } = props;
    this.resource = new GateBinding(this, "Resource", {
      pool: props.pool.poolId,
      monitor: (props.monitor ?? props.pool.settings.monitor)?.render(),
      successes: props.successes,
      minMembers: props.minMembers,
      openWhen: props.openWhen && { ...props.openWhen },
      users: props.users && { ...props.users },
      quietPeriod: hclDuration(props.quietPeriodMs),
      recordTtl: props.recordTtlSeconds,
      onDeadline: props.onDeadline,
      timeouts:
        openTimeoutMs === undefined && closeTimeoutMs === undefined
          ? undefined
          : { create: hclDuration(openTimeoutMs), delete: hclDuration(closeTimeoutMs) },
      count: countOf(this.condition),
      lifecycle: { createBeforeDestroy: true },
    });
    this.gateId = attributeOf(this.resource, "id");
  }
}

/** @internal */
export function gateRules(
  props: GateTuning,
  members: number,
  recordTtlSeconds: number | undefined,
): readonly Rule[] {
  return [
    wholeRule("successes", props.successes, 1, "1 trusts the first good answer."),
    wholeRule("minMembers", props.minMembers, 1, "Leave it out to wait for all members."),
    rule(
      props.minMembers === undefined || Token.isUnresolved(members) || props.minMembers <= members,
      "minMembers",
      `must be at most the pool's members (${members}), got ${props.minMembers}`,
      "The gate would never open. Ask for fewer, or launch more.",
    ),
    durationRule("quietPeriodMs", props.quietPeriodMs),
    durationRule("openTimeoutMs", props.openTimeoutMs),
    durationRule("closeTimeoutMs", props.closeTimeoutMs),
    ttlRule("recordTtlSeconds", recordTtlSeconds),
  ];
}

/** @internal */
export function ttlRule(attribute: string, seconds: number | undefined): Rule {
  return wholeRule(
    attribute,
    seconds,
    1,
    "Use 5 to 60 seconds: short enough to move users, long enough to spare the name server.",
    86_400,
  );
}
