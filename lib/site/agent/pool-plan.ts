import { formatDuration } from "../../duration";
import type { SiteEvent } from "../api";
import type { BalancerMemberView } from "../ports";
import { type MemberRecord, NO_QUIESCE, type PoolRecord } from "./state";

/** What the event says when nobody is moved any more. */
export const QUIESCE_OVER = "over";
/** Deaths in a row, without ever being up, after which a member is given up. */
export const MAX_CRASHES = 3;
/** A member that was up for so long has its earlier deaths forgiven. */
const HEALTHY_MS = 30_000;
const MAX_BACKOFF_MS = 30_000;

/** What is known of a pool at one look. */
export interface PoolFacts {
  readonly now: number;
  /** By member; undefined while the balancer cannot be asked. */
  readonly view: ReadonlyMap<string, BalancerMemberView> | undefined;
  /** Members whose process runs. A member in neither of the two was not looked at. */
  readonly alive: ReadonlySet<string>;
  /** Members whose process is gone, with their last words. */
  readonly dead: ReadonlyMap<string, string>;
  /** Members that the balancer had been told to drain before `view` was taken. */
  readonly drained: ReadonlySet<string>;
  readonly newId: () => string;
}

export interface PlannedEvent {
  readonly kind: SiteEvent["kind"];
  readonly subject: string;
  readonly detail: string;
}

/** What a pool becomes, and what is to be told of it. */
export interface PoolPlan {
  readonly members: readonly MemberRecord[];
  readonly quiesce: Pick<PoolRecord, "quiesce" | "quiesceFrom" | "quiesceUntil">;
  readonly events: readonly PlannedEvent[];
}

/**
 * One step of a pool from what it is towards what it should be. Pure: the caller writes the result down and then acts on it
 * (launches `launching` members, ends `ending` ones), so a step that is cut off is taken again.
 */
export function planPool(record: PoolRecord, facts: PoolFacts): PoolPlan {
  const events: PlannedEvent[] = [];
  const tell = (kind: SiteEvent["kind"], subject: string, detail: string) =>
    events.push({ kind, subject, detail });
  let members = record.members.map((member) => observe(record, member, facts, tell));
  members = record.leaving
    ? members.map((member) => leave(member, facts, tell))
    : scale(record, members, facts, tell);
  members = members.map((member) => finishDrain(record, member, facts));
  let { quiesce, quiesceFrom, quiesceUntil } = record;
  if (quiesceUntil !== undefined && quiesceUntil <= facts.now) {
    quiesce = NO_QUIESCE;
    quiesceFrom = undefined;
    quiesceUntil = undefined;
    tell("quiesce-changed", record.name, QUIESCE_OVER);
  }
  return { members, quiesce: { quiesce, quiesceFrom, quiesceUntil }, events };
}

/** A member that died, or that could not be launched. */
export function afterDeath(member: MemberRecord, problem: string, now: number): MemberRecord {
  const crashes = member.crashes + 1;
  const dead = {
    ...member,
    handle: undefined,
    upSince: undefined,
    overdue: undefined,
    crashes,
    death: problem,
  };
  if (!member.everUp && crashes >= MAX_CRASHES) {
    return { ...dead, phase: "failed", problem: `died ${crashes} times without ever being up; ${problem}` };
  }
  const backoffMs = Math.min(1_000 * 2 ** (crashes - 1), MAX_BACKOFF_MS);
  return { ...dead, phase: "waiting", retryAt: now + backoffMs, problem };
}

type Tell = (kind: SiteEvent["kind"], subject: string, detail: string) => void;

function observe(record: PoolRecord, member: MemberRecord, facts: PoolFacts, tell: Tell): MemberRecord {
  const { now } = facts;
  if (member.phase === "waiting" && now >= (member.retryAt ?? 0)) {
    return { ...member, phase: "launching", retryAt: undefined };
  }
  if (member.phase !== "running" && member.phase !== "draining") return member;
  const words = facts.dead.get(member.id);
  if (words !== undefined) {
    const problem = `its process died${words ? `; last words: ${words}` : ""}`;
    tell("member-down", member.id, problem);
    return member.phase === "draining"
      ? { ...member, phase: "ending", problem }
      : afterDeath(member, problem, now);
  }
  if (!facts.view) return member;
  const seen = facts.view.get(member.id);
  if (seen?.up) {
    const healthy = member.upSince !== undefined && now - member.upSince >= HEALTHY_MS;
    if (member.upSince !== undefined)
      return healthy && member.crashes > 0 ? { ...member, crashes: 0, death: undefined } : member;
    tell("member-up", member.id, `after ${formatDuration(now - member.launchedAt)}`);
    return { ...member, everUp: true, upSince: now, overdue: undefined, problem: undefined };
  }
  if (member.upSince !== undefined) {
    const problem = seen?.lastProblem ?? "its monitor does not see it any more";
    tell("member-down", member.id, problem);
    return { ...member, upSince: undefined, problem };
  }
  const overdue = !member.everUp && now - member.launchedAt >= record.spec.launchTimeoutMs;
  const problem = overdue
    ? `not up ${formatDuration(record.spec.launchTimeoutMs)} after its launch: ${seen?.lastProblem ?? "its monitor has not seen it yet"}`
    : (seen?.lastProblem ?? member.problem);
  if (problem === member.problem && overdue === (member.overdue ?? false)) return member;
  return { ...member, problem, overdue: overdue || undefined };
}

function leave(member: MemberRecord, facts: PoolFacts, tell: Tell): MemberRecord {
  if (member.phase === "draining" || member.phase === "ending") return member;
  return retire(member, facts, tell);
}

/** A member that runs is drained; one that does not has no users. */
function retire(member: MemberRecord, facts: PoolFacts, tell: Tell): MemberRecord {
  if (member.phase !== "running") return { ...member, phase: "ending" };
  const sessions = facts.view?.get(member.id)?.sessions ?? 0;
  tell("member-draining", member.id, count(sessions, "session"));
  return { ...member, phase: "draining", drainingSince: facts.now };
}

function scale(
  record: PoolRecord,
  members: readonly MemberRecord[],
  facts: PoolFacts,
  tell: Tell,
): MemberRecord[] {
  const target = record.spec.members;
  const next = new Map(members.map((member) => [member.id, member]));
  const isCurrent = (member: MemberRecord) => member.generation === record.generation;
  const staying = members.filter((member) => isCurrent(member) && isStaying(member));
  let missing = target - staying.length;
  if (missing > 0) {
    // Demand came back: the members that still have the most users are kept first.
    const returning = members
      .filter((member) => isCurrent(member) && member.phase === "draining" && facts.alive.has(member.id))
      .sort((a, b) => use(b, facts) - use(a, facts))
      .slice(0, missing);
    for (const member of returning) {
      next.set(member.id, { ...member, phase: "running", drainingSince: undefined });
      tell("member-up", member.id, "its drain was cancelled");
    }
    missing -= returning.length;
    for (; missing > 0; missing--) {
      const member = newMember(record, facts);
      next.set(member.id, member);
    }
  } else if (missing < 0) {
    const leaving = [...staying].sort(leastUsedFirst(facts)).slice(0, -missing);
    for (const member of leaving) next.set(member.id, retire(member, facts, tell));
  }
  for (const member of outdated(record, [...next.values()], facts))
    next.set(member.id, retire(member, facts, tell));
  return [...next.values()];
}

/** Members of older generations that may go now: never so many that fewer than asked for are up. */
function outdated(record: PoolRecord, members: readonly MemberRecord[], facts: PoolFacts): MemberRecord[] {
  const isUp = (member: MemberRecord) => member.phase === "running" && member.upSince !== undefined;
  const old = members.filter((member) => member.generation !== record.generation && isStaying(member));
  const freshUp = members.filter((member) => member.generation === record.generation && isUp(member)).length;
  const oldUp = old.filter(isUp);
  const useless = old.filter((member) => member.phase !== "running" || !member.everUp);
  if (!facts.view) return useless;
  const spare = Math.max(0, Math.min(oldUp.length, freshUp + oldUp.length - record.spec.members));
  const replaced = [...oldUp].sort(leastUsedFirst(facts)).slice(0, spare);
  const wasUp = old.filter((member) => member.phase === "running" && member.everUp && !isUp(member));
  return [...useless, ...replaced, ...(freshUp >= record.spec.members ? wasUp : [])];
}

function finishDrain(record: PoolRecord, member: MemberRecord, facts: PoolFacts): MemberRecord {
  if (member.phase !== "draining") return member;
  const drainedForMs = facts.now - (member.drainingSince ?? facts.now);
  const seen = facts.view?.get(member.id);
  if (drainedForMs >= record.spec.drainTimeoutMs && (seen?.sessions || seen?.inFlight)) {
    const whom = `${count(seen.sessions, "session")} and ${count(seen.inFlight, "request")}`;
    const problem = `ended with ${whom}, because its drain timeout of ${formatDuration(record.spec.drainTimeoutMs)} has passed`;
    return { ...member, phase: "ending", problem };
  }
  if (drainedForMs >= record.spec.drainTimeoutMs) return { ...member, phase: "ending" };
  if (!facts.view || !facts.drained.has(member.id)) return member;
  return seen && (seen.sessions > 0 || seen.inFlight > 0) ? member : { ...member, phase: "ending" };
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}

function isStaying(member: MemberRecord): boolean {
  return member.phase !== "draining" && member.phase !== "ending";
}

function use(member: MemberRecord, facts: PoolFacts): number {
  const seen = facts.view?.get(member.id);
  return seen ? seen.sessions + seen.inFlight : 0;
}

/** Those that serve nobody first, then those with the fewest users, and of these the newest. */
function leastUsedFirst(facts: PoolFacts): (a: MemberRecord, b: MemberRecord) => number {
  const up = (member: MemberRecord) => (member.upSince === undefined ? 0 : 1);
  return (a, b) => up(a) - up(b) || use(a, facts) - use(b, facts) || b.launchedAt - a.launchedAt;
}

function newMember(record: PoolRecord, facts: PoolFacts): MemberRecord {
  return {
    id: facts.newId(),
    image: record.spec.image,
    environment: record.spec.environment,
    generation: record.generation,
    phase: "launching",
    launchedAt: facts.now,
    everUp: false,
    crashes: 0,
  };
}
