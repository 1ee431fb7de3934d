import {
  GetMetricDataCommand,
  type MetricDataQuery,
  type MetricDataResult,
} from "@aws-sdk/client-cloudwatch";
import { QueryError } from "../../../lib/observers";
import type { LoadBalancerKind, LoadBalancerName, TargetGroupName } from "./arn";
import { ask, type ObserverClients } from "./clients";
import { PERIOD_MS, type Series, type UserSeries } from "./periods";

/** What metrics are of. */
export interface Measured {
  readonly balancer: LoadBalancerName;
  readonly group: TargetGroupName;
  /** Other target groups have users through the same balancer: only what is told of this group is looked at, where there is such. */
  readonly shared: boolean;
}

/** One metric that is asked for. */
export interface Metric {
  readonly id: string;
  readonly name: string;
  readonly stat: string;
  /** The balancer alone, or the target group behind it. */
  readonly of: "balancer" | "group";
}

const NAMESPACE: Readonly<Record<LoadBalancerKind, string>> = {
  app: "AWS/ApplicationELB",
  net: "AWS/NetworkELB",
};
/** Both are always reported while targets are registered: they tell that a period's data are in. */
const REPORTED: readonly Metric[] = [
  { id: "healthy", name: "HealthyHostCount", stat: "Maximum", of: "group" },
  { id: "unhealthy", name: "UnHealthyHostCount", stat: "Maximum", of: "group" },
];

/** What tells of users. Health checks are in none of the requests and flows. Pure. */
export function userMetrics(kind: LoadBalancerKind, shared: boolean): readonly Metric[] {
  if (kind === "net") {
    return [
      { id: "open", name: "ActiveFlowCount", stat: "Maximum", of: "balancer" },
      { id: "begun", name: "NewFlowCount", stat: "Sum", of: "balancer" },
      ...REPORTED,
    ];
  }
  const requests: Metric = {
    id: "requests",
    name: "RequestCount",
    stat: "Sum",
    of: shared ? "group" : "balancer",
  };
  const open: Metric = { id: "open", name: "ActiveConnectionCount", stat: "Sum", of: "balancer" };
  return shared ? [requests, ...REPORTED] : [requests, open, ...REPORTED];
}

/** Answers 5xx that the balancer made itself. Pure. */
export function failureMetrics(kind: LoadBalancerKind): readonly Metric[] {
  if (kind === "net") return [];
  return [{ id: "failed", name: "HTTPCode_ELB_5XX_Count", stat: "Sum", of: "balancer" }];
}

/** How long the targets take. Pure. */
export function latencyMetrics(kind: LoadBalancerKind): readonly Metric[] {
  if (kind === "net") return [];
  return [{ id: "p95", name: "TargetResponseTime", stat: "p95", of: "balancer" }];
}

/** A metric as CloudWatch is asked for it. Pure. */
export function metricQuery({ id, name, stat, of }: Metric, { balancer, group }: Measured): MetricDataQuery {
  const Dimensions = [
    { Name: "LoadBalancer", Value: balancer.dimension },
    ...(of === "group" ? [{ Name: "TargetGroup", Value: group.dimension }] : []),
  ];
  const Metric = { Namespace: NAMESPACE[balancer.kind], MetricName: name, Dimensions };
  return { Id: id, MetricStat: { Metric, Period: PERIOD_MS / 1_000, Stat: stat }, ReturnData: true };
}

/**
 * The values of metrics by id.
 * @throws QueryError, also when CloudWatch says that its answer is not whole; AbortedError
 */
export async function readMetrics(
  clients: Pick<ObserverClients, "metrics">,
  place: string,
  queries: readonly MetricDataQuery[],
  { from, to }: { readonly from: number; readonly to: number },
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Series>> {
  const found = new Map<string, Map<number, number>>();
  let NextToken: string | undefined;
  do {
    const command = new GetMetricDataCommand({
      MetricDataQueries: [...queries],
      StartTime: new Date(Math.floor(from / PERIOD_MS) * PERIOD_MS),
      EndTime: new Date(Math.ceil(to / PERIOD_MS) * PERIOD_MS),
      ScanBy: "TimestampAscending",
      ...(NextToken === undefined ? {} : { NextToken }),
    });
    const action = "cloudwatch:GetMetricData";
    const answer = await ask({ place, action, signal }, (options) => clients.metrics.send(command, options));
    for (const result of answer.MetricDataResults ?? []) take(result, place, found);
    NextToken = answer.NextToken === "" ? undefined : answer.NextToken;
  } while (NextToken !== undefined);
  return found;
}

function take(result: MetricDataResult, place: string, found: Map<string, Map<number, number>>): void {
  const { Id = "", StatusCode, Timestamps = [], Values = [] } = result;
  if (StatusCode === "InternalError" || StatusCode === "Forbidden") {
    throw new QueryError("data", {
      place,
      problem: `CloudWatch could not read the metric ${result.Label ?? Id} (${StatusCode})`,
      mend: "Allow cloudwatch:GetMetricData, or try again.",
    });
  }
  const series = found.get(Id) ?? new Map<number, number>();
  Timestamps.forEach((time, at) => {
    const value = Values[at];
    if (value !== undefined && Number.isFinite(value))
      series.set(Math.floor(time.getTime() / PERIOD_MS) * PERIOD_MS, value);
  });
  found.set(Id, series);
}

/** Pure. */
export function userSeries(read: ReadonlyMap<string, Series>): UserSeries {
  const reported = new Set([
    ...(read.get("healthy")?.keys() ?? []),
    ...(read.get("unhealthy")?.keys() ?? []),
  ]);
  const of = (id: string) => read.get(id) ?? new Map<number, number>();
  return { open: of("open"), requests: of("requests"), begun: of("begun"), reported };
}
