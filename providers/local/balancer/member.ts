import type { MonitorSpec } from "../../../lib/site/api";
import type { BalancerMember } from "../../../lib/site/ports";
import { memberKey } from "./affinity";
import { MemberAgent } from "./member-agent";
import { Monitor } from "./monitor";
import type { Candidate } from "./selection";

/** One member of a pool, as its balancer sees it. */
export class Member implements Candidate {
  /** As affinity cookies name it. */
  readonly key: string;
  readonly agent = new MemberAgent();
  readonly monitor: Monitor;
  inFlight = 0;
  /** Users bound to it. */
  sessions = 0;
  draining: boolean;
  weight: number;

  constructor(
    readonly spec: BalancerMember,
    monitor: MonitorSpec,
    onChange: (member: Member) => void,
  ) {
    this.key = memberKey(spec.id);
    this.draining = spec.draining;
    this.weight = spec.weight ?? 1;
    this.monitor = new Monitor(spec.address, spec.port, monitor, () => onChange(this));
  }

  get up(): boolean {
    return this.monitor.up;
  }

  get suspicious(): boolean {
    return this.monitor.suspicious;
  }

  end(): void {
    this.monitor.end();
    this.agent.end();
  }
}
