import { assembleRun, type RunMaterial } from "../../../cli/demo/assemble-run";
import type { LoadBucket, LoadTotals } from "../../../cli/demo/load";
import type { HookEvent } from "../../../lib/hook/events";
import { renderReport } from "../../../lib/report";
import type { SiteContext, SiteEvent } from "../../../lib/site/api";

const START = 1_000_000;
const at = (s: number) => START + s * 1_000;

function bucket(atMs: number, changes: Partial<LoadBucket> = {}): LoadBucket {
  return {
    atMs,
    lengthMs: 250,
    offered: 100,
    ok: 100,
    failed: 0,
    retried: 0,
    heldBack: 0,
    inFlight: 3,
    bySite: { onprem: 60, cloud: 40 },
    p50Ms: 21,
    p95Ms: 40,
    usersBySite: {},
    connectionsBySite: {},
    dnsBySite: {},
    ...changes,
  };
}

const totals: LoadTotals = {
  startedAt: at(2),
  durationMs: 20_000,
  requests: 8_000,
  ok: 8_000,
  failed: 0,
  retried: 4,
  heldBack: 0,
  bySite: {},
  dnsBySite: {},
  failures: {},
  firstFailures: [],
  latencyMs: { p50: 21, p95: 40, p99: 80, max: 120 },
};

function context(
  site: string,
  s: number,
  membersUp: number,
  sessions: number,
  weights?: Record<string, number>,
) {
  const answers = Object.entries(weights ?? {}).map(([name, weight]) => ({
    site: name,
    address: "127.0.0.1",
    weight,
  }));
  return {
    site,
    at: at(s),
    pools: [
      { name: "other", phase: "ready", traffic: { membersUp: 9, sessions: 9 } },
      { name: "shop", phase: "ready", traffic: { membersUp, sessions } },
    ],
    images: [],
    link: { rateBps: 0, rateIs: "assumed" },
    records: weights
      ? [{ name: "shop.test", spec: { owner: "", ttlSeconds: 1, answers }, changedAt: 0, serial: 1 }]
      : [],
  } as unknown as SiteContext;
}

const cloudEvent = (s: number, kind: SiteEvent["kind"]) => ({
  site: "cloud",
  event: { seq: s, at: at(s), kind, subject: "shop", detail: "" },
});

const decided = (s: number, action: string, cloudMembers: number) =>
  ({
    at: at(s),
    kind: "decided",
    decision: {
      action,
      reason: `${action} at ${s}`,
      phase: "burst",
      desired: { burst: action !== "home", cloudMembers, weights: { onprem: 60, cloud: 40 } },
    },
  }) as unknown as HookEvent;

function material(changes: Partial<RunMaterial> = {}): RunMaterial {
  return {
    title: "run",
    startedAt: START,
    endedAt: at(22),
    sites: ["onprem", "cloud"],
    cloudSite: "cloud",
    pool: "shop",
    recordName: "shop.test",
    memberCapacityRps: { onprem: 200, cloud: 150 },
    load: {
      startedAt: at(2),
      buckets: Array.from({ length: 80 }, (_, index) => bucket(index * 250)),
      totals,
    },
    contexts: [
      context("onprem", 1, 2, 50, { onprem: 100 }),
      context("cloud", 6, 2, 0),
      context("onprem", 7, 2, 30, { onprem: 60, cloud: 40 }),
      context("cloud", 7, 2, 20),
      context("cloud", 17, 2, 0),
    ],
    siteEvents: [],
    hookEvents: [],
    imageBytes: 48,
    imageBytesSent: 24,
    ...changes,
  };
}

describe("the record of a run", () => {
  it("joins what users and sites saw on one time axis, from the start of the run", () => {
    const { samples, durationMs } = assembleRun(material());
    expect(durationMs).toBe(22_000);
    expect(samples[0]).toMatchObject({
      atMs: 0,
      offeredRps: 0,
      servedRps: { onprem: 0, cloud: 0 },
      weights: {},
    });
    // The load began 2 s into the run; two buckets of a quarter of a second make a sample.
    expect(samples.find(({ atMs }) => atMs === 1_500)).toMatchObject({
      offeredRps: 0,
      capacityRps: { onprem: 400 },
    });
    expect(samples.find(({ atMs }) => atMs === 2_000)).toMatchObject({
      offeredRps: 400,
      servedRps: { onprem: 240, cloud: 160 },
      latencyMs: { p50: 21, p95: 40 },
      weights: { onprem: 100 },
    });
    // What was seen last holds until something else is seen. The pool counts, not its neighbour.
    expect(samples.find(({ atMs }) => atMs === 10_000)).toMatchObject({
      capacityRps: { onprem: 400, cloud: 300 },
      sessions: { onprem: 30, cloud: 20 },
      weights: { onprem: 60, cloud: 40 },
    });
    // The last sample is whole: one cut off in the middle would look like a fall of demand.
    expect(samples.at(-1)).toMatchObject({ atMs: 21_500, offeredRps: 400 });
  });

  it("lists a decision once, although it is made until it is in force", () => {
    const hookEvents = [
      decided(3, "burst", 2),
      decided(3.5, "burst", 2),
      decided(4, "hold", 2),
      decided(9, "home", 2),
    ];
    expect(assembleRun(material({ hookEvents })).decisions).toEqual([
      { atMs: 3_000, action: "burst", reason: "burst at 3", weights: { onprem: 60, cloud: 40 }, members: 2 },
      { atMs: 9_000, action: "home", reason: "home at 9", weights: { onprem: 60, cloud: 40 }, members: 0 },
    ]);
  });

  it("lists every apply: by hand and by the hook, done, failed, stopped and unfinished", () => {
    const hookEvents: HookEvent[] = [
      { at: at(3), kind: "planned", summary: "3 to add", markdown: "" },
      { at: at(4), kind: "applying", pid: 1 },
      { at: at(9), kind: "applied", changed: true, durationMs: 5_000 },
      { at: at(10), kind: "applying", pid: 2 },
      { at: at(11), kind: "failed", problem: "no\nway", failures: 1, nextTryAt: 0 },
      { at: at(12), kind: "applying", pid: 3 },
      { at: at(13), kind: "aborted" },
      { at: at(20), kind: "applying", pid: 4 },
    ];
    const applies = [{ startMs: at(0.5), endMs: at(1.5), ok: true, summary: "by hand" }];
    expect(assembleRun(material({ hookEvents, applies })).applies).toEqual([
      { startMs: 500, endMs: 1_500, ok: true, summary: "by hand" },
      { startMs: 4_000, endMs: 9_000, ok: true, stopped: false, summary: "3 to add" },
      { startMs: 10_000, endMs: 11_000, ok: false, stopped: false, summary: "no" },
      {
        startMs: 12_000,
        endMs: 13_000,
        ok: false,
        stopped: true,
        summary: "stopped, for the next apply to finish",
      },
      {
        startMs: 20_000,
        endMs: 22_000,
        ok: false,
        stopped: false,
        summary: "still running when the run ended",
      },
    ]);
  });

  const takeDown = [
    cloudEvent(18, "member-draining"),
    cloudEvent(18.4, "member-ended"),
    cloudEvent(19, "pool-gone"),
  ];

  it("has no user at take-down when the site had lost them all before its first member was told to leave", () => {
    expect(assembleRun(material({ siteEvents: takeDown })).totals.sessionsAtTakeDown).toBe(0);
  });

  it("counts users at take-down by what the balancer said last before it", () => {
    const contexts = [context("cloud", 7, 2, 20), context("cloud", 17.9, 2, 3), context("cloud", 18.1, 2, 0)];
    expect(assembleRun(material({ contexts, siteEvents: takeDown })).totals.sessionsAtTakeDown).toBe(3);
  });

  it("counts users at take-down by their own connections too", () => {
    const buckets = Array.from({ length: 80 }, (_, index) =>
      bucket(index * 250, { connectionsBySite: index * 250 <= 16_000 ? { cloud: 5 } : {} }),
    );
    const load = { startedAt: at(2), buckets, totals };
    expect(assembleRun(material({ load, siteEvents: takeDown })).totals.sessionsAtTakeDown).toBe(5);
  });

  it("does not take members that left a shrinking pool for a take-down", () => {
    const shrunk = [
      cloudEvent(8, "member-draining"),
      cloudEvent(9, "member-ended"),
      cloudEvent(10, "pool-changed"),
    ];
    expect(assembleRun(material({ siteEvents: shrunk })).totals.sessionsAtTakeDown).toBe(0);
    expect(assembleRun(material({ siteEvents: [...shrunk, ...takeDown] })).totals.sessionsAtTakeDown).toBe(0);
  });

  it("is what the report shows", () => {
    const page = renderReport(
      assembleRun(material({ siteEvents: takeDown, hookEvents: [decided(3, "burst", 2)] })),
    );
    expect(page.includes("None of 8,000 requests failed; no user was left at the cloud site")).toBe(true);
    expect(page.includes("burst at 3")).toBe(true);
  });
});
