import type { HookEvent } from "../../lib/hook/events";
import { sameDesired, type Decision } from "../../lib/policy";
import type { BySite, RunApply, RunDecision, RunRecord, RunSample } from "../../lib/report";
import type { SiteContext, SiteEvent } from "../../lib/site/api";
import type { Progress } from "../../lib/wait";
import type { LoadBucket, LoadTotals } from "./load";
import { phasesOf, signalOfHookEvent, signalOfProgress, signalOfSiteEvent, type PhaseSignal } from "./phases";

/** Everything that was collected in a run. Times named `…At` and `at` are milliseconds since 1970. */
export interface RunMaterial {
  readonly title: string;
  readonly subtitle?: string;
  readonly notes?: readonly string[];
  readonly startedAt: number;
  readonly endedAt: number;
  /** Home first. */
  readonly sites: readonly string[];
  readonly cloudSite: string;
  /** The pool at each site whose members and sessions count. */
  readonly pool: string;
  /** The record whose weights are shown. */
  readonly recordName: string;
  /** Requests per second that one member carries, by site. */
  readonly memberCapacityRps: BySite;
  readonly load: {
    readonly startedAt: number;
    readonly buckets: readonly LoadBucket[];
    readonly totals: LoadTotals;
  };
  /** As often as the sites were asked, in order of time. */
  readonly contexts: readonly SiteContext[];
  readonly siteEvents: readonly { readonly site: string; readonly event: SiteEvent }[];
  readonly hookEvents: readonly HookEvent[];
  /** Progress of applies that were not the hook's. */
  readonly progress?: readonly (Progress & { readonly at: number })[];
  /** Applies that were not the hook's: `at`-times as in {@link RunApply}, but since 1970. */
  readonly applies?: readonly RunApply[];
  readonly imageBytes: number;
  readonly imageBytesSent: number;
}

/** Length of a sample of the report. */
const SAMPLE_MS = 500;

/** Makes one record of a run out of all that was collected. Pure. */
export function assembleRun(material: RunMaterial): RunRecord {
  const { startedAt, endedAt, load } = material;
  const signals: PhaseSignal[] = [
    ...material.siteEvents.map(({ site, event }) => signalOfSiteEvent(site, event)),
    ...(material.progress ?? []).map((one) => signalOfProgress(one, one.at)),
    ...(material.applies ?? []).map((apply): PhaseSignal => ({
      at: apply.endMs,
      from: "hook",
      kind: "apply-ended",
    })),
    ...material.hookEvents.flatMap((event) => signalOfHookEvent(event) ?? []),
  ];
  const applies = [...(material.applies ?? []), ...appliesOf(material.hookEvents, endedAt)]
    .map((apply) => ({ ...apply, startMs: apply.startMs - startedAt, endMs: apply.endMs - startedAt }))
    .sort((a, b) => a.startMs - b.startMs);
  const { p50, p95, p99 } = load.totals.latencyMs;
  return {
    title: material.title,
    subtitle: material.subtitle,
    notes: material.notes,
    startedAt,
    durationMs: endedAt - startedAt,
    sites: material.sites,
    samples: samplesOf(material),
    phases: phasesOf(signals, {
      cloudSite: material.cloudSite,
      startedAt,
      endedAt,
      recordTtlMs: recordTtlMs(material),
    }),
    decisions: decisionsOf(material.hookEvents, startedAt),
    applies,
    totals: {
      requests: load.totals.requests,
      failed: load.totals.failed,
      retried: load.totals.retried,
      sessionsAtTakeDown: sessionsAtTakeDown(material),
      imageBytes: material.imageBytes,
      imageBytesSent: material.imageBytesSent,
      latencyMs: { p50, p95, p99 },
    },
  };
}

/** Decisions that ask for something else than the decision before: the same one is made again until it is in force. */
function decisionsOf(events: readonly HookEvent[], startedAt: number): readonly RunDecision[] {
  const decisions: RunDecision[] = [];
  let last: Decision | undefined;
  for (const event of events) {
    if (event.kind !== "decided" || event.decision.action === "hold") continue;
    if (last && last.action === event.decision.action && sameDesired(last.desired, event.decision.desired))
      continue;
    last = event.decision;
    decisions.push({
      atMs: event.at - startedAt,
      action: last.action,
      reason: last.reason,
      weights: last.desired.weights,
      members: last.desired.burst ? last.desired.cloudMembers : 0,
    });
  }
  return decisions;
}

function appliesOf(events: readonly HookEvent[], endedAt: number): readonly RunApply[] {
  const applies: RunApply[] = [];
  let began: number | undefined;
  let plan = "";
  const end = (at: number, ok: boolean, summary: string, stopped = false) => {
    if (began !== undefined) applies.push({ startMs: began, endMs: at, ok, stopped, summary });
    began = undefined;
  };
  for (const event of events) {
    if (event.kind === "planned") plan = event.summary;
    else if (event.kind === "applying") began = event.at;
    else if (event.kind === "applied") end(event.at, true, event.changed ? plan : "nothing to change");
    else if (event.kind === "aborted") end(event.at, false, "stopped, for the next apply to finish", true);
    else if (event.kind === "failed") end(event.at, false, event.problem.split("\n")[0]);
  }
  end(endedAt, false, "still running when the run ended");
  return applies;
}

function samplesOf(material: RunMaterial): readonly RunSample[] {
  const samples: RunSample[] = [];
  const offsetMs = material.load.startedAt - material.startedAt;
  const durationMs = material.endedAt - material.startedAt;
  const contexts = [...material.contexts].sort((a, b) => a.at - b.at);
  const latest = new Map<string, SiteContext>();
  let nextContext = 0;
  let nextBucket = 0;
  // A sample that is not whole, and what comes when the users have gone, would look like a fall of demand.
  const last = material.load.buckets.at(-1);
  const untilMs = last ? Math.min(durationMs, offsetMs + last.atMs + last.lengthMs) : durationMs;
  for (let atMs = 0; atMs + SAMPLE_MS <= untilMs; atMs += SAMPLE_MS) {
    const until = material.startedAt + atMs + SAMPLE_MS;
    for (; nextContext < contexts.length && contexts[nextContext].at < until; nextContext++) {
      latest.set(contexts[nextContext].site, contexts[nextContext]);
    }
    const buckets: LoadBucket[] = [];
    for (; nextBucket < material.load.buckets.length; nextBucket++) {
      const bucket = material.load.buckets[nextBucket];
      if (bucket.atMs + offsetMs >= atMs + SAMPLE_MS) break;
      buckets.push(bucket);
    }
    samples.push({ atMs, ...loadOf(buckets, material.sites), ...standingOf(latest, material) });
  }
  return samples;
}

function loadOf(
  buckets: readonly LoadBucket[],
  sites: readonly string[],
): Pick<RunSample, "offeredRps" | "servedRps" | "failedRps" | "latencyMs"> {
  const lengthMs = sum(buckets.map((bucket) => bucket.lengthMs));
  const rate = (count: number) => (lengthMs > 0 ? (count * 1_000) / lengthMs : 0);
  const answered = buckets.filter((bucket) => bucket.ok > 0);
  return {
    offeredRps: rate(sum(buckets.map((bucket) => bucket.offered))),
    servedRps: Object.fromEntries(
      sites.map((site) => [site, rate(sum(buckets.map((bucket) => bucket.bySite[site] ?? 0)))]),
    ),
    failedRps: rate(sum(buckets.map((bucket) => bucket.failed))),
    latencyMs:
      answered.length === 0
        ? undefined
        : {
            p50: Math.max(...answered.map((bucket) => bucket.p50Ms)),
            p95: Math.max(...answered.map((bucket) => bucket.p95Ms)),
          },
  };
}

function standingOf(
  latest: ReadonlyMap<string, SiteContext>,
  material: RunMaterial,
): Pick<RunSample, "capacityRps" | "weights" | "sessions"> {
  const capacityRps: Record<string, number> = {};
  const sessions: Record<string, number> = {};
  let weights: BySite = {};
  for (const [site, context] of latest) {
    const pool = context.pools.find(({ name }) => name === material.pool);
    capacityRps[site] = (pool?.traffic.membersUp ?? 0) * (material.memberCapacityRps[site] ?? 0);
    sessions[site] = pool?.traffic.sessions ?? 0;
    const record = context.records.find(({ name }) => name === material.recordName);
    if (record)
      weights = Object.fromEntries(record.spec.answers.map((answer) => [answer.site, answer.weight]));
  }
  return { capacityRps, weights, sessions };
}

/**
 * Users at the cloud site when the first of its members was told to leave for good: the larger of what its balancer said last before
 * that, and of the connections that the users themselves still had open to it. The worst of all take-downs of the run.
 */
function sessionsAtTakeDown(material: RunMaterial): number {
  const { cloudSite, load } = material;
  const events = material.siteEvents.filter(({ site }) => site === cloudSite).map(({ event }) => event);
  const gone = events.filter(({ kind }) => kind === "pool-gone").map(({ at }) => at);
  return Math.max(
    0,
    ...gone.map((goneAt, index) => {
      const after = index === 0 ? 0 : gone[index - 1];
      const at = lastLeaving(events, after, goneAt) ?? goneAt;
      const context = material.contexts
        .filter((one) => one.site === cloudSite && one.at <= at && one.at > after)
        .at(-1);
      const pool = context?.pools.find(({ name }) => name === material.pool);
      const bucket = load.buckets.find((one) => load.startedAt + one.atMs + one.lengthMs >= at);
      return Math.max(pool?.traffic.sessions ?? 0, bucket?.connectionsBySite[cloudSite] ?? 0);
    }),
  );
}

/** When the pool's last run of leaving members began: members that left a shrinking pool earlier do not count. */
function lastLeaving(events: readonly SiteEvent[], after: number, goneAt: number): number | undefined {
  let began: number | undefined;
  for (const { kind, at } of events) {
    if (at <= after || at > goneAt) continue;
    if (kind === "gate-opened" || kind === "member-launched" || kind === "pool-changed") began = undefined;
    else if (kind === "member-draining" || kind === "member-ended") began ??= at;
  }
  return began;
}

function recordTtlMs({ contexts, recordName }: RunMaterial): number {
  const records = contexts.flatMap(({ records: all }) => all.filter(({ name }) => name === recordName));
  return (records.at(-1)?.spec.ttlSeconds ?? 0) * 1_000;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
