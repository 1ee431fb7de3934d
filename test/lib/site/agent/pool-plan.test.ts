import * as fc from "fast-check";
import type { PoolSpec } from "../../../../lib/site/api";
import type { BalancerMemberView } from "../../../../lib/site/ports";
import { MAX_CRASHES, type PoolFacts, afterDeath, planPool } from "../../../../lib/site/agent/pool-plan";
import { phaseOf, poolStatus } from "../../../../lib/site/agent/pool-status";
import { type MemberRecord, NO_QUIESCE, type PoolRecord } from "../../../../lib/site/agent/state";

const spec: PoolSpec = {
  owner: "test",
  image: "sha256:1",
  members: 3,
  listen: { address: "127.0.0.1", port: 80, mode: "http" },
  monitor: { type: "http", path: "/", expectStatus: 200, intervalMs: 100, timeoutMs: 100, rise: 1, fall: 1 },
  affinity: "none",
  maxConnections: 0,
  sessionIdleMs: 1_000,
  environment: {},
  launchTimeoutMs: 10_000,
  drainTimeoutMs: 60_000,
};

function pool(members: readonly MemberRecord[], changes: Partial<PoolRecord> = {}): PoolRecord {
  return {
    name: "shop",
    createdAt: 0,
    spec,
    generation: 1,
    leaving: false,
    quiesce: NO_QUIESCE,
    members,
    ...changes,
  };
}

function member(id: string, changes: Partial<MemberRecord> = {}): MemberRecord {
  return {
    id,
    image: spec.image,
    environment: {},
    generation: 1,
    phase: "running",
    handle: { id, notes: {}, address: "127.0.0.1", port: 1 },
    launchedAt: 0,
    everUp: true,
    upSince: 1,
    crashes: 0,
    ...changes,
  };
}

let count = 0;

/** What is seen of members that all run, and are up unless said otherwise. */
function facts(
  record: PoolRecord,
  seen: Record<string, Partial<BalancerMemberView>> = {},
  changes: Partial<PoolFacts> = {},
): PoolFacts {
  const view = record.members
    .filter(({ phase }) => phase === "running" || phase === "draining")
    .map(({ id }) => [id, { id, up: true, inFlight: 0, sessions: 0, ...seen[id] }] as const);
  return {
    now: 1_000,
    view: new Map(view),
    alive: new Set(record.members.map(({ id }) => id)),
    dead: new Map(),
    drained: new Set(record.members.filter(({ phase }) => phase === "draining").map(({ id }) => id)),
    newId: () => `new-${++count}`,
    ...changes,
  };
}

function phases(members: readonly MemberRecord[]): Record<string, string> {
  return Object.fromEntries(members.map(({ id, phase }) => [id, phase]));
}

test("what is missing is launched", () => {
  const record = pool([member("a")]);
  expect(planPool(record, facts(record)).members.map(({ phase }) => phase)).toEqual([
    "running",
    "launching",
    "launching",
  ]);
});

test("shrinking drains members that serve nobody first, then those with the fewest users, then the newest", () => {
  const members = [
    member("old", { launchedAt: 1 }),
    member("new", { launchedAt: 2 }),
    member("busy", { launchedAt: 3 }),
    member("down", { upSince: undefined }),
    member("unborn", { phase: "launching", handle: undefined, upSince: undefined, everUp: false }),
  ];
  const drains = (count: number) => {
    const record = pool(members, { spec: { ...spec, members: count } });
    const plan = planPool(record, facts(record, { busy: { sessions: 9 }, down: { up: false } }));
    return plan.members.filter(({ phase }) => phase !== "running").map(({ id, phase }) => `${id} ${phase}`);
  };
  expect(drains(3)).toEqual(["down draining", "unborn ending"]);
  expect(drains(2)).toEqual(["new draining", "down draining", "unborn ending"]);
  expect(drains(1)).toEqual(["old draining", "new draining", "down draining", "unborn ending"]);
});

test("a draining member goes only when the balancer had been told and saw nobody on it", () => {
  const record = pool([member("a", { phase: "draining", drainingSince: 900 })], {
    spec: { ...spec, members: 1 },
    leaving: true,
  });
  expect(phases(planPool(record, facts(record)).members)).toEqual({ a: "ending" });
  expect(phases(planPool(record, facts(record, { a: { sessions: 1 } })).members)).toEqual({ a: "draining" });
  expect(phases(planPool(record, facts(record, { a: { inFlight: 1 } })).members)).toEqual({ a: "draining" });
  expect(phases(planPool(record, facts(record, {}, { drained: new Set() })).members)).toEqual({
    a: "draining",
  });
  expect(phases(planPool(record, facts(record, {}, { view: undefined })).members)).toEqual({ a: "draining" });
  const late = { now: 900 + spec.drainTimeoutMs };
  expect(phases(planPool(record, facts(record, { a: { sessions: 1 } }, late)).members)).toEqual({
    a: "ending",
  });
});

test("demand that returns takes draining members back, those with the most users first", () => {
  const members = [
    member("idle", { phase: "draining", drainingSince: 900 }),
    member("busy", { phase: "draining", drainingSince: 900 }),
  ];
  const record = pool(members, { spec: { ...spec, members: 1 } });
  const plan = planPool(record, facts(record, { busy: { sessions: 4 }, idle: { sessions: 1 } }));
  expect(phases(plan.members)).toEqual({ idle: "draining", busy: "running" });
});

test("while the balancer cannot be asked, nobody who may have users is drained out or ended", () => {
  const members = [member("a", { generation: 0 }), member("b", { phase: "draining", drainingSince: 999 })];
  const record = pool(members, { spec: { ...spec, members: 1 } });
  const plan = planPool(record, facts(record, {}, { view: undefined }));
  expect(plan.members.find(({ id }) => id === "a")?.phase).toBe("running");
  expect(plan.members.find(({ id }) => id === "b")?.phase).not.toBe("ending");
});

test("a member's deaths are answered with ever longer pauses, and given up only if it was never up", () => {
  let dying = member("a", { everUp: false, upSince: undefined });
  const pauses: number[] = [];
  for (let crash = 1; crash < MAX_CRASHES; crash++) {
    dying = afterDeath(dying, "it died", 0);
    expect(dying.phase).toBe("waiting");
    pauses.push(dying.retryAt ?? 0);
  }
  expect(pauses).toEqual([1_000, 2_000]);
  expect(afterDeath(dying, "it died", 0)).toMatchObject({ phase: "failed", handle: undefined });
  const steady = Array.from({ length: 8 }).reduce<MemberRecord>(
    (now) => afterDeath(now, "it died", 0),
    member("b"),
  );
  expect(steady).toMatchObject({ phase: "waiting", retryAt: 30_000 });
});

test("what a member died of is told while it is not up, until it has been well for a while", () => {
  const told = (one: MemberRecord) =>
    poolStatus("cloud", pool([one]), { view: new Map(), inSync: true }, 0).members[0]?.problem;
  const died = afterDeath(member("a"), "its process died; last words: no database", 0);
  expect(told(died)).toBe("its process died; last words: no database");
  const again: MemberRecord = { ...died, phase: "running", problem: undefined };
  expect(told(again)).toBe("its process died; last words: no database");
  const unseen: MemberRecord = { ...again, problem: "nothing listens there" };
  expect(told(unseen)).toBe("nothing listens there; before that, its process died; last words: no database");
  const up: MemberRecord = { ...again, upSince: 10 };
  expect(told(up)).toBeUndefined();
  const record = pool([up], { spec: { ...spec, members: 1 } });
  const [well] = planPool(record, facts(record, {}, { now: 60_000 })).members;
  expect(well).toMatchObject({ crashes: 0, death: undefined });
});

test("a member that comes up after its launch timeout mends the pool", () => {
  const record = pool([member("a", { everUp: false, upSince: undefined })], {
    spec: { ...spec, members: 1 },
  });
  const at = { now: spec.launchTimeoutMs };
  record.members = planPool(
    record,
    facts(record, { a: { up: false, lastProblem: "connection refused" } }, at),
  ).members;
  expect(phaseOf(record, true)).toBe("failed");
  expect(record.members[0].problem).toBe("not up 10.0 s after its launch: connection refused");
  record.members = planPool(record, facts(record, {}, at)).members;
  expect(phaseOf(record, true)).toBe("ready");
  expect(record.members[0].problem).toBeUndefined();
});

test("members of an older generation that failed do not fail the pool", () => {
  const record = pool([member("a", { generation: 0, phase: "failed" }), member("b")], {
    spec: { ...spec, members: 1 },
  });
  expect(phaseOf(record, true)).toBe("reconciling");
});

// ---------------------------------------------------------------- any pool, any sight of it

const anyMember = fc.record({
  phase: fc.constantFrom("launching", "running", "draining", "ending", "waiting", "failed" as const),
  generation: fc.constantFrom(0, 1, 2),
  up: fc.boolean(),
  sessions: fc.nat(3),
  dead: fc.boolean(),
  everUp: fc.boolean(),
});

const anyPool = fc.record({
  members: fc.array(anyMember, { maxLength: 8 }),
  target: fc.integer({ min: 1, max: 6 }),
  leaving: fc.boolean(),
  blind: fc.boolean(),
});

function build(given: typeof anyPool extends fc.Arbitrary<infer T> ? T : never): {
  record: PoolRecord;
  seen: PoolFacts;
} {
  const members = given.members.map((one, index) => {
    const runs = one.phase === "running" || one.phase === "draining";
    return member(`m${index}`, {
      phase: one.phase,
      generation: one.generation,
      everUp: one.everUp || (runs && one.up),
      upSince: runs && one.up ? 1 : undefined,
      launchedAt: index,
      drainingSince: one.phase === "draining" ? 500 : undefined,
      retryAt: one.phase === "waiting" ? 2_000 : undefined,
    });
  });
  const record = pool(members, {
    generation: 2,
    leaving: given.leaving,
    spec: { ...spec, members: given.target },
  });
  const seen = Object.fromEntries(
    given.members.map(({ up, sessions }, index) => [`m${index}`, { up, sessions: sessions }]),
  );
  const dead = given.members.flatMap(({ dead, phase }, index) =>
    dead && (phase === "running" || phase === "draining") ? [`m${index}`] : [],
  );
  const base = facts(record, seen, { dead: new Map(dead.map((id) => [id, "its last words"])) });
  return {
    record,
    seen: {
      ...base,
      alive: new Set([...base.alive].filter((id) => !dead.includes(id))),
      view: given.blind ? undefined : base.view,
    },
  };
}

const serves = ({ phase, upSince }: MemberRecord) => phase === "running" && upSince !== undefined;

test("a step never takes so many members from service that fewer are up than asked for", () => {
  fc.assert(
    fc.property(anyPool, (given) => {
      fc.pre(!given.leaving);
      const { record, seen } = build(given);
      const before = record.members.filter((one) => serves(one) && !seen.dead.has(one.id));
      const upBefore = before.filter(({ id }) => seen.view === undefined || seen.view.get(id)?.up).length;
      const after = planPool(record, seen).members.filter(serves).length;
      expect(after).toBeGreaterThanOrEqual(Math.min(upBefore, given.target));
    }),
  );
});

test("a step never ends a live member that has users, unless its drain timeout has passed", () => {
  fc.assert(
    fc.property(anyPool, (given) => {
      const { record, seen } = build(given);
      for (const one of planPool(record, seen).members) {
        const before = record.members.find(({ id }) => id === one.id);
        if (one.phase !== "ending" || before?.phase === "ending" || seen.dead.has(one.id)) continue;
        const sessions = seen.view?.get(one.id)?.sessions ?? 0;
        expect(sessions).toBe(0);
        if (seen.view === undefined) expect(before?.phase === "running" && before.everUp).toBe(false);
      }
    }),
  );
});

test("a step taken twice is a step taken once", () => {
  fc.assert(
    fc.property(anyPool, (given) => {
      const { record, seen } = build(given);
      const once = planPool(record, seen).members;
      const again = { ...seen, dead: new Map<string, string>() };
      const settled = planPool({ ...record, members: once }, again).members;
      const twice = planPool({ ...record, members: settled }, again).members;
      expect(twice).toEqual(settled);
    }),
  );
});

test("any pool becomes what it should be when its members do what they are asked to", () => {
  fc.assert(
    fc.property(anyPool, (given) => {
      // A failed member keeps its place until a retry, and keeps an old one serving for it.
      const members = given.members.filter(({ phase, generation }) => phase !== "failed" || generation !== 2);
      const { record } = build({ ...given, members, blind: false });
      for (let turn = 0; turn < 20; turn++) {
        const now = 10_000 + turn * 40_000;
        const drained = record.members.filter(({ phase }) => phase === "draining").map(({ id }) => id);
        record.members = planPool(record, facts(record, {}, { now, drained: new Set(drained) }))
          .members.filter(({ phase }) => phase !== "ending")
          .map((one) =>
            one.phase === "launching"
              ? { ...one, phase: "running" as const, handle: member(one.id).handle, launchedAt: now }
              : one,
          );
      }
      if (given.leaving) return expect(record.members).toEqual([]);
      expect(record.members).toHaveLength(given.target);
      expect(record.members.every(({ generation }) => generation === 2)).toBe(true);
      expect(record.members.every(serves)).toBe(true);
    }),
  );
});
