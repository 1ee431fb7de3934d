import type { MemberState, MemberStatus, PoolStatus } from "../api";
import type { BalancerMemberView, BalancerPool } from "../ports";
import { type MemberRecord, type PoolRecord, quiesceAt } from "./state";

/** What is known of a pool besides its record. */
export interface PoolObservations {
  readonly view: ReadonlyMap<string, BalancerMemberView> | undefined;
  /** The balancer has the pool as it should be. */
  readonly inSync: boolean;
  /** What keeps the agent from going on, if anything does. */
  readonly trouble?: string;
}

export function phaseOf(record: PoolRecord, inSync: boolean): PoolStatus["phase"] {
  if (record.leaving) return "leaving";
  if (record.failed || record.members.some((member) => isFailed(record, member))) return "failed";
  // Those that leave are drained in their own time; nobody has to wait for them.
  const staying = record.members.filter(({ phase }) => phase !== "draining" && phase !== "ending");
  const asAsked = staying.every(
    (member) => member.phase === "running" && member.generation === record.generation,
  );
  return inSync && asAsked && staying.length === record.spec.members ? "ready" : "reconciling";
}

export function problemOfPool(record: PoolRecord, trouble?: string): string | undefined {
  if (record.failed) return record.failed.problem;
  const failed = record.members.find((member) => isFailed(record, member));
  if (failed) return `member ${failed.id}: ${failed.problem}`;
  return trouble;
}

export function poolStatus(
  site: string,
  record: PoolRecord,
  seen: PoolObservations,
  now: number,
): PoolStatus {
  return {
    name: record.name,
    site,
    spec: record.spec,
    phase: phaseOf(record, seen.inSync),
    problem: problemOfPool(record, seen.trouble),
    members: record.members.map((member) => memberStatus(record, member, seen)),
    gate: record.gate,
    quiesce: quiesceAt(record, now),
    probeKey: record.probeKey,
  };
}

/** What the balancer should do for the pool. */
export function balancerPool(record: PoolRecord, now: number): BalancerPool {
  const { listen, monitor, affinity, maxConnections, sessionIdleMs, hosts } = record.spec;
  return {
    name: record.name,
    listen,
    monitor,
    affinity,
    maxConnections,
    sessionIdleMs,
    hosts,
    members: record.members.flatMap(({ id, handle, phase }) =>
      handle && (phase === "running" || phase === "draining")
        ? [{ id, address: handle.address, port: handle.port, draining: phase === "draining" }]
        : [],
    ),
    quiesce: quiesceAt(record, now),
    probeKey: record.probeKey,
  };
}

function memberStatus(record: PoolRecord, member: MemberRecord, { view }: PoolObservations): MemberStatus {
  const seen = view?.get(member.id);
  return {
    id: member.id,
    image: member.image,
    address: member.handle?.address ?? "",
    port: member.handle?.port ?? 0,
    state: stateOf(record, member),
    inFlight: seen?.inFlight ?? 0,
    sessions: seen?.sessions ?? 0,
    launchedAt: member.launchedAt,
    problem: problemOfMember(member),
  };
}

/** That nobody answers is true of a member that dies again and again, and says little: what it died of is said with it. */
function problemOfMember({ problem, death, upSince }: MemberRecord): string | undefined {
  if (death === undefined || upSince !== undefined || problem?.includes(death)) return problem;
  return problem === undefined ? death : `${problem}; before that, ${death}`;
}

function stateOf(record: PoolRecord, member: MemberRecord): MemberState {
  switch (member.phase) {
    case "draining":
    case "ending":
      return "draining";
    case "failed":
      return "failed";
    case "launching":
    case "waiting":
      return member.everUp ? "down" : "launching";
    case "running":
      if (member.upSince !== undefined) return "up";
      if (isFailed(record, member)) return "failed";
      return member.everUp ? "down" : "launching";
  }
}

/** Members of an older generation are on their way out: they fail nobody. */
function isFailed(record: PoolRecord, member: MemberRecord): boolean {
  return member.generation === record.generation && (member.phase === "failed" || member.overdue === true);
}
