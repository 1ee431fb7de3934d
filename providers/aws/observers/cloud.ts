import { AbortedError } from "../../../lib/errors";
import { QueryError } from "../../../lib/observers";
import type { BurstManifest, CloudPlatform, SeenCloud } from "../../../lib/hook";
import { countedBalancer, parseLoadBalancerArn, parseTargetGroupArn } from "./arn";
import { observerClients, type ObserverClients } from "./clients";
import { availability } from "./health";
import {
  findLoadBalancer,
  findTargetGroup,
  groupsBehind,
  scalingGroup,
  targetHealth,
  type Asking,
} from "./looks";
import {
  failureMetrics,
  latencyMetrics,
  metricQuery,
  readMetrics,
  userMetrics,
  userSeries,
  type Measured,
  type Metric,
} from "./metrics";
import { lastSettled, PERIOD_MS, seenUsers, type Series } from "./periods";
import { RecordWeights } from "./record-weights";

/** What is asked for of a burst. */
export type AwsCloudOf = Pick<BurstManifest, "platform" | "record" | "onPrem" | "cloud">;

/** The hook looks every second; AWS counts requests, and CloudWatch has one value a minute. */
const HEALTH_EVERY_MS = 5_000;
const METRICS_EVERY_MS = 20_000;
const WEIGHTS_EVERY_MS = 2_000;
const WINDOW_MS = 15 * PERIOD_MS;

type Health = Pick<SeenCloud, "members" | "membersUp"> & { readonly measured?: Measured };
type Load = Omit<SeenCloud, "members" | "membersUp">;

const NO_LOAD: Load = { demandRps: 0, sessions: 0, openConnections: 0, p95Ms: 0, failedTotal: 0 };

/** Sees a burst's cloud side on AWS. Remembers answers for as long as it makes no sense to ask again. */
export class AwsCloud implements CloudPlatform {
  private readonly clients: ObserverClients;
  private readonly record: RecordWeights | undefined;
  private readonly health = new Remembered<Health>(HEALTH_EVERY_MS);
  private readonly load = new Remembered<Load>(METRICS_EVERY_MS);
  private readonly answers = new Remembered<Readonly<Record<string, number>> | undefined>(WEIGHTS_EVERY_MS);
  /** Failed answers of periods that were counted. */
  private readonly failed = new Map<number, number>();
  private readonly platform: NonNullable<BurstManifest["platform"]>;

  /** Asks nobody. */
  constructor(
    private readonly burst: AwsCloudOf & { readonly platform: NonNullable<BurstManifest["platform"]> },
  ) {
    this.platform = burst.platform;
    this.clients = observerClients(this.platform.region);
    const { zone } = this.platform;
    this.record = zone === undefined ? undefined : new RecordWeights({ zone, name: burst.record.name });
  }

  async look(signal: AbortSignal): Promise<SeenCloud> {
    const asking: Asking = { clients: this.clients, place: `AWS in ${this.platform.region}`, signal };
    const { measured, ...members } = await this.health.ask(() => this.lookAtHealth(asking));
    if (!measured) {
      this.load.forget();
      return { ...members, ...NO_LOAD };
    }
    return { ...members, ...(await this.load.ask(() => this.lookAtLoad(asking, measured))) };
  }

  async weights(signal: AbortSignal): Promise<Readonly<Record<string, number>> | undefined> {
    const { record } = this;
    if (!record) return undefined;
    const weights = await this.answers.ask(() => record.look(signal));
    if (!weights) return undefined;
    const { homeIdentifier, cloudIdentifier } = this.platform;
    const sites: Readonly<Record<string, string>> = {
      [homeIdentifier]: this.burst.onPrem.site,
      [cloudIdentifier]: this.burst.cloud.site,
    };
    // Weight 0 is how an answer is left out where each is a resource of its own.
    const answers = Object.entries(weights).filter(([, weight]) => weight > 0);
    return Object.fromEntries(answers.map(([id, weight]) => [sites[id] ?? id, weight]));
  }

  close(): void {
    this.clients.close();
    this.record?.close();
  }

  /** What is not there has no members: before a burst there is no group, and perhaps no balancer. */
  private async lookAtHealth(asking: Asking): Promise<Health> {
    const { platform } = this;
    const [group, target, found] = await Promise.all([
      scalingGroup(asking, platform.autoScalingGroup),
      findTargetGroup(asking, { name: platform.targetGroup }),
      findLoadBalancer(asking, { name: platform.loadBalancer }),
    ]);
    const targetArn = target?.TargetGroupArn;
    const targets = (targetArn === undefined ? undefined : await targetHealth(asking, targetArn)) ?? [];
    const { up, members, wanted } = availability(targets, group);
    const seen = { members: wanted ?? members.length, membersUp: up };
    const balancerArn = found?.LoadBalancerArn;
    if (targetArn === undefined || balancerArn === undefined || targets.length === 0) return seen;
    const behind = await groupsBehind(asking, balancerArn);
    const shared = behind.some((each) => each !== targetArn);
    const measured = {
      balancer: countedBalancer(balancerArn, found?.Type) ?? parseLoadBalancerArn(balancerArn),
      group: parseTargetGroupArn(targetArn),
      shared,
    };
    return { ...seen, measured };
  }

  private async lookAtLoad(asking: Asking, measured: Measured): Promise<Load> {
    const { kind } = measured.balancer;
    const now = Date.now();
    const from = now - WINDOW_MS;
    const ask = (metrics: readonly Metric[]) => {
      const queries = metrics.map((metric) => metricQuery(metric, measured));
      return readMetrics(this.clients, asking.place, queries, { from, to: now }, asking.signal);
    };
    const [users, latency] = await Promise.all([
      ask([...userMetrics(kind, measured.shared), ...failureMetrics(kind)]),
      // Who does not tell quantiles (they cost more, and may be refused) tells of users all the same.
      latencyMetrics(kind).length === 0 ? undefined : ask(latencyMetrics(kind)).catch(unlessUnseen),
    ]);
    const read = new Map([...users, ...(latency ?? [])]);
    for (const [period, count] of read.get("failed") ?? [])
      this.failed.set(period, Math.max(count, this.failed.get(period) ?? 0));
    const failedTotal = [...this.failed.values()].reduce((sum, count) => sum + count, 0);
    return { ...loadOf(read, measured, now), failedTotal };
  }
}

/** The load of the last period that counts and has been reported; what is not known is said to be so. Pure. */
export function loadOf(
  read: ReadonlyMap<string, Series>,
  { balancer: { kind } }: Pick<Measured, "balancer">,
  now: number,
): Omit<Load, "failedTotal"> {
  const series = userSeries(read);
  const { count, problem } = seenUsers(series, kind, { now, from: now - WINDOW_MS });
  const isReported = (at: number) =>
    kind === "net"
      ? series.open?.has(at) === true
      : series.reported.has(at) || series.requests?.has(at) === true;
  let period = lastSettled(now);
  const oldest = period - 3 * PERIOD_MS;
  while (period > oldest && !isReported(period)) period -= PERIOD_MS;
  const { demandRps, sessions, openConnections, p95Ms } = NO_LOAD;
  if (period <= oldest) {
    const usersUnknown = problem ?? "CloudWatch has no metrics of the last minutes yet, which is not 0";
    return { demandRps, sessions, openConnections, p95Ms, usersUnknown };
  }
  const at = (each: Series | undefined) => each?.get(period) ?? 0;
  const perSecond = at(kind === "net" ? series.begun : series.requests) / (PERIOD_MS / 1_000);
  return {
    demandRps: perSecond,
    sessions: count ?? 0,
    openConnections: at(series.open),
    p95Ms: at(read.get("p95")) * 1_000,
    lateByMs: Math.max(0, now - period - PERIOD_MS),
    ...(count === undefined ? { usersUnknown: problem ?? "who is there is not known" } : {}),
  };
}

function unlessUnseen(error: unknown): undefined {
  if (!(error instanceof QueryError)) throw error;
  return undefined;
}

/** One answer, for a while. A failure is one too: who asks for fewer requests is not asked every second. */
class Remembered<T> {
  private last: { readonly at: number; readonly value: Promise<T> } | undefined;

  constructor(private readonly forMs: number) {}

  async ask(look: () => Promise<T>): Promise<T> {
    const now = performance.now();
    if (this.last && now - this.last.at < this.forMs) return this.last.value;
    const value = look();
    this.last = { at: now, value };
    try {
      return await value;
    } catch (error) {
      // Whoever stopped it knows nothing of what it would have said.
      if (error instanceof AbortedError) this.forget();
      throw error;
    }
  }

  forget(): void {
    this.last = undefined;
  }
}
