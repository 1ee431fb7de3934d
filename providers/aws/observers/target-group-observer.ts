import { QueryError, type PoolObserver, type SeenAvailability, type SeenUsers } from "../../../lib/observers";
import {
  countedBalancer,
  parseLoadBalancerArn,
  parseTargetGroupArn,
  type LoadBalancerName,
  type TargetGroupName,
} from "./arn";
import { observerClients, type ObserverClients } from "./clients";
import { availability } from "./health";
import {
  findLoadBalancer,
  findTargetGroup,
  groupsBehind,
  scalingGroup,
  targetHealth,
  whyNotLaunched,
  type Asking,
} from "./looks";
import { metricQuery, readMetrics, userMetrics, userSeries } from "./metrics";
import { PERIOD_MS, seenUsers } from "./periods";

/** A pool on AWS that is to be seen. */
export interface TargetGroupOptions {
  readonly targetGroupArn: string;
  /** Through which its users come. @default - the one that the target group is attached to at each look */
  readonly loadBalancerArn?: string;
  /** By name: its desired capacity is how many members there are to be. @default - nobody says */
  readonly autoScalingGroup?: string;
  /** @default - the one in the target group's ARN */
  readonly region?: string;
  /** How far back quiet is looked for, milliseconds. @default an hour */
  readonly windowMs?: number;
  /** See {@link SETTLE_MS}, milliseconds. */
  readonly settleMs?: number;
}

const WINDOW_MS = 60 * PERIOD_MS;
/** Metrics have a value a minute, and every one that is read costs. */
const ASK_AGAIN_MS = 10_000;

/**
 * Sees a target group, with the Auto Scaling group and the load balancer around it: health from Elastic Load Balancing, users from
 * CloudWatch. Close it at the end.
 */
export class TargetGroupObserver implements PoolObserver {
  readonly place: string;
  readonly region: string;
  readonly group: TargetGroupName;
  private readonly balancer: LoadBalancerName | undefined;
  private readonly clients: ObserverClients;
  private lastUsers: { readonly at: number; readonly seen: SeenUsers | undefined } | undefined;

  /** Asks nobody. @throws SpillwayError for what is no ARN */
  constructor(private readonly options: TargetGroupOptions) {
    this.group = parseTargetGroupArn(options.targetGroupArn);
    this.balancer =
      options.loadBalancerArn === undefined ? undefined : parseLoadBalancerArn(options.loadBalancerArn);
    this.region = options.region ?? this.group.region;
    this.place = `target group ${this.group.name} in ${this.region}`;
    this.clients = observerClients(this.region);
  }

  close(): void {
    this.clients.close();
  }

  /** Is the target group there? @throws QueryError, AbortedError */
  async exists(signal: AbortSignal): Promise<boolean> {
    return (await findTargetGroup(this.asking(signal), { arn: this.group.arn })) !== undefined;
  }

  async available(signal: AbortSignal): Promise<SeenAvailability | undefined> {
    const asking = this.asking(signal);
    const { autoScalingGroup: name } = this.options;
    const [targets, group] = await Promise.all([
      targetHealth(asking, this.group.arn),
      name === undefined ? undefined : scalingGroup(asking, name),
    ]);
    if (!targets) return undefined;
    if (name !== undefined && !group) {
      throw new QueryError("data", {
        place: this.place,
        problem: `there is no Auto Scaling group "${name}", so how many members are wanted is not known`,
        mend: "Correct `aws.auto_scaling_group`: it is the group's name.",
      });
    }
    return availability(targets, group, group && (await whyNotLaunched(asking, group)));
  }

  async users(signal: AbortSignal): Promise<SeenUsers | undefined> {
    const now = Date.now();
    if (this.lastUsers && now - this.lastUsers.at < ASK_AGAIN_MS) return this.lastUsers.seen;
    const seen = await this.lookForUsers(this.asking(signal), now);
    this.lastUsers = { at: now, seen };
    return seen;
  }

  private async lookForUsers(asking: Asking, now: number): Promise<SeenUsers | undefined> {
    const group = await findTargetGroup(asking, { arn: this.group.arn });
    if (!group) return undefined;
    const [attached] = group.LoadBalancerArns ?? [];
    const arn = this.balancer?.arn ?? attached;
    // No balancer sends users here, so there is none.
    if (arn === undefined) return { count: 0, quietFrom: 0, until: now };
    const [there, behind, targets] = await Promise.all([
      findLoadBalancer(asking, { arn }),
      groupsBehind(asking, arn),
      targetHealth(asking, this.group.arn),
    ]);
    if (!there || !targets) return undefined;
    const balancer = countedBalancer(arn, there.Type);
    if (!balancer)
      return { problem: `users of ${arn} cannot be counted: it is no Application or Network Load Balancer` };
    // Nothing serves users here; targets that are draining are still in the list.
    if (targets.length === 0) return { count: 0, quietFrom: 0, until: now };
    const shared = behind.some((each) => each !== this.group.arn);
    const measured = { balancer, group: this.group, shared };
    const queries = userMetrics(balancer.kind, shared).map((metric) => metricQuery(metric, measured));
    const from = now - (this.options.windowMs ?? WINDOW_MS);
    const read = await readMetrics(asking.clients, asking.place, queries, { from, to: now }, asking.signal);
    return seenUsers(userSeries(read), balancer.kind, { now, from, settleMs: this.options.settleMs });
  }

  private asking(signal: AbortSignal): Asking {
    return { clients: this.clients, place: this.place, signal };
  }
}
