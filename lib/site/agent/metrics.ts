import type { MetricFamily, MetricSeries } from "../../metrics";
import type {
  ImageStatus,
  MemberState,
  PartStatus,
  PoolStatus,
  PoolTraffic,
  RecordStatus,
  SiteContext,
} from "../api";

/** What a site's metrics are made of. What could not be asked is undefined, and its metrics are left out. */
export interface SiteFigures {
  readonly site: string;
  readonly version: string;
  readonly uptimeMs: number;
  readonly pools: readonly { readonly status: PoolStatus; readonly traffic?: PoolTraffic }[];
  readonly images: readonly ImageStatus[];
  readonly link: SiteContext["link"];
  readonly records?: readonly RecordStatus[];
  readonly parts: readonly PartStatus[];
  readonly events: number;
}

const STATES: readonly MemberState[] = ["launching", "up", "down", "draining", "failed"];
const PHASES: readonly PoolStatus["phase"][] = ["reconciling", "ready", "failed", "leaving"];

/** A site's metrics. Pure. */
export function siteMetrics(figures: SiteFigures): readonly MetricFamily[] {
  const { site, version, uptimeMs, link, events } = figures;
  const one = (value: number, more = {}): MetricSeries[] => [{ labels: { site, ...more }, value }];
  const perPart = figures.parts.map(({ part, kind, problems }) => ({
    labels: { site, part, kind },
    value: problems.length === 0 ? 1 : 0,
  }));
  return [
    gauge("spillway_agent_info", "Always 1; the labels say which agent it is.", one(1, { version })),
    gauge("spillway_agent_uptime_seconds", "Since the agent was started.", one(uptimeMs / 1_000)),
    gauge("spillway_part_up", "1 while the site's launcher, balancer or name server can be used.", perPart),
    counter("spillway_events_total", "What the site did, in number.", one(events)),
    gauge(
      "spillway_link_rate_bytes_per_second",
      "Rate of the link into the site, measured last or assumed.",
      one(link.rateBps / 8, { rate: link.rateIs }),
    ),
    ...poolMetrics(figures),
    ...imageMetrics(figures),
    ...recordMetrics(figures),
  ];
}

function poolMetrics({ site, pools }: SiteFigures): readonly MetricFamily[] {
  const each = (of: (pool: PoolStatus) => readonly (readonly [Readonly<Record<string, string>>, number])[]) =>
    pools.flatMap(({ status }) =>
      of(status).map(([more, value]) => ({ labels: { site, pool: status.name, ...more }, value })),
    );
  const seen = (of: (traffic: PoolTraffic) => number) =>
    pools.flatMap(({ status, traffic }) =>
      traffic ? [{ labels: { site, pool: status.name }, value: of(traffic) }] : [],
    );
  return [
    gauge(
      "spillway_pool_sessions",
      "Users at the pool.",
      seen(({ sessions }) => sessions),
    ),
    gauge(
      "spillway_pool_open_connections",
      "Connections that users hold open.",
      seen((seen) => seen.openConnections),
    ),
    gauge(
      "spillway_pool_requests_in_flight",
      "Users' requests being served.",
      seen(({ inFlight }) => inFlight),
    ),
    gauge(
      "spillway_pool_requests_queued",
      "Requests that wait for a member.",
      seen(({ queued }) => queued),
    ),
    gauge(
      "spillway_pool_quiet_seconds",
      "Since the last request or connection.",
      seen(({ quietMs }) => quietMs / 1_000),
    ),
    counter(
      "spillway_pool_requests_total",
      "Requests that came in.",
      seen(({ requestsTotal }) => requestsTotal),
    ),
    counter(
      "spillway_pool_failures_total",
      "Answers 5xx that the balancer made.",
      seen(({ failedTotal }) => failedTotal),
    ),
    gauge(
      "spillway_pool_latency_p50_seconds",
      "Median latency of the last 2 s; 0 without a request.",
      seen(({ latencyMs }) => latencyMs.p50 / 1_000),
    ),
    gauge(
      "spillway_pool_latency_p95_seconds",
      "95th percentile of the latency in the last 2 s; 0 without a request.",
      seen(({ latencyMs }) => latencyMs.p95 / 1_000),
    ),
    gauge(
      "spillway_pool_members_wanted",
      "Members that were asked for.",
      each(({ spec }) => [[{}, spec.members]]),
    ),
    gauge(
      "spillway_pool_members",
      "Members by state.",
      each(({ members }) =>
        STATES.map((state) => [{ state }, members.filter((member) => member.state === state).length]),
      ),
    ),
    gauge(
      "spillway_pool_phase",
      "1 for the phase that the pool is in.",
      each((pool) => PHASES.map((phase) => [{ phase }, pool.phase === phase ? 1 : 0])),
    ),
    gauge(
      "spillway_pool_admitted",
      "1 while a gate has admitted the pool.",
      each(({ gate }) => [[{}, gate ? 1 : 0]]),
    ),
    gauge(
      "spillway_pool_quiesce_share",
      "Share of the users who are asked to leave, 0 to 1.",
      each(({ quiesce }) => [[{}, quiesce.share]]),
    ),
  ];
}

function imageMetrics({ site, images }: SiteFigures): readonly MetricFamily[] {
  const each = (of: (image: ImageStatus) => number) =>
    images.map((image) => ({ labels: { site, digest: image.digest }, value: of(image) }));
  return [
    gauge(
      "spillway_image_size_bytes",
      "Size of the virtual disk.",
      each(({ sizeBytes }) => sizeBytes),
    ),
    gauge(
      "spillway_image_present_bytes",
      "Bytes of it that are here.",
      each(({ presentBytes }) => presentBytes),
    ),
    gauge(
      "spillway_image_complete",
      "1 when all of it is here and verified.",
      each(({ complete }) => (complete ? 1 : 0)),
    ),
  ];
}

function recordMetrics({ site, records = [] }: SiteFigures): readonly MetricFamily[] {
  const each = (
    of: (record: RecordStatus) => readonly (readonly [Readonly<Record<string, string>>, number])[],
  ) =>
    records.flatMap((record) =>
      of(record).map(([more, value]) => ({ labels: { site, record: record.name, ...more }, value })),
    );
  return [
    gauge(
      "spillway_record_weight",
      "Share of the answers, of 100, by the site that users are sent to.",
      each(({ spec }) => spec.answers.map(({ site: to, weight }) => [{ to }, weight])),
    ),
    gauge(
      "spillway_record_ttl_seconds",
      "How long an answer may be kept.",
      each(({ spec }) => [[{}, spec.ttlSeconds]]),
    ),
    gauge(
      "spillway_record_changed_timestamp_seconds",
      "When the answers changed last.",
      each(({ changedAt }) => [[{}, changedAt / 1_000]]),
    ),
  ];
}

function gauge(name: string, help: string, series: readonly MetricSeries[]): MetricFamily {
  return { name, help, type: "gauge", series };
}

function counter(name: string, help: string, series: readonly MetricSeries[]): MetricFamily {
  return { name, help, type: "counter", series };
}
