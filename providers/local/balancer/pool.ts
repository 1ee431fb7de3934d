import type { BalancerMember, BalancerPool, BalancerPoolView } from "../../../lib/site/ports";
import { cookieName } from "./affinity";
import type { ClientConnection } from "./client-connection";
import { Member } from "./member";
import { everybodyLeaves, mustLeave, nextOrder, type QuiesceOrder } from "./quiesce";
import { chooseMember } from "./selection";
import { Sessions } from "./sessions";
import { TrafficWindow } from "./traffic";
import { WaitQueue, type Waiter } from "./wait-queue";

/** A request that finds no member waits so long for one. */
export const QUEUE_PATIENCE_MS = 5_000;
/** So many may wait; more are refused at once. */
export const QUEUE_CAPACITY = 10_000;

/** One pool: its members, who is at it, and who waits for it. What it listens on belongs to its front. */
export class Pool {
  readonly queue = new WaitQueue<Member>(QUEUE_PATIENCE_MS, QUEUE_CAPACITY);
  readonly sessions: Sessions;
  readonly window = new TrafficWindow();
  readonly cookie: string;
  spec: BalancerPool;
  order: QuiesceOrder;
  inFlight = 0;
  requestsTotal = 0;
  failedTotal = 0;
  /** Client connections, those of probes and silent ones too. */
  readonly connections = new Set<ClientConnection>();
  private members: Member[] = [];
  private byKey = new Map<string, Member>();
  private turn = 0;

  /** `restored`: it comes from the state file of a balancer that died, so who was here is not known. */
  constructor(spec: BalancerPool, order: QuiesceOrder, restored: boolean) {
    this.spec = spec;
    this.order = order;
    this.cookie = cookieName(spec.name);
    this.sessions = new Sessions(spec.sessionIdleMs, restored ? performance.now() : undefined);
    this.reconcileMembers(spec);
  }

  /** Makes everything but the listener as `spec` says. */
  change(spec: BalancerPool): void {
    this.order = nextOrder(this.order, spec.quiesce, Date.now());
    this.sessions.idleMs = spec.sessionIdleMs;
    this.reconcileMembers(spec);
    this.spec = spec;
    this.pumpAll();
  }

  /** Would a user send this `Host` header? */
  isAskedFor(host: string | undefined): boolean {
    const { hosts } = this.spec;
    if (hosts === undefined || hosts.length === 0) return true;
    return host !== undefined && hosts.includes(host.toLowerCase().replace(/\.?(:\d*)?$/, ""));
  }

  get affinity(): boolean {
    return this.spec.affinity === "cookie" && this.spec.listen.mode === "http";
  }

  memberByKey(key: string): Member | undefined {
    return this.byKey.get(key);
  }

  /** The member for a request, and takes a place on it. `bound`: the member that its user belongs to. */
  acquire(bound: Member | undefined, avoid?: ReadonlySet<Member>): Member | undefined {
    const member = this.choose(bound, avoid);
    if (member !== undefined) this.occupy(member);
    return member;
  }

  occupy(member: Member): void {
    member.inFlight += 1;
  }

  /** The place on a member is free again. */
  vacate(member: Member): void {
    member.inFlight -= 1;
    if (this.queue.length > 0) this.pump(member);
  }

  /** Will a request of this user find a member, now or after a wait for a place on one? */
  hasMemberUp(): boolean {
    return this.members.some((member) => member.up);
  }

  wait(waiter: Waiter<Member>): void {
    this.queue.add(waiter);
  }

  /** Must this connection's user be moved to another site? */
  mustLeave(connection: ClientConnection): boolean {
    return this.order.spec.share > 0 && mustLeave(this.order, connection, Date.now());
  }

  /** Is everybody to leave, so that affinity ends too? */
  get everybodyLeaves(): boolean {
    return everybodyLeaves(this.order, Date.now());
  }

  view(): BalancerPoolView {
    const sessions = this.sessions.total();
    // Those that drain take no new user: they carry nobody's growth, and their leaving is no failure.
    const inService = this.members.filter((member) => !member.draining);
    return {
      traffic: {
        openConnections: this.connections.size,
        inFlight: this.inFlight,
        queued: this.queue.length,
        sessions,
        quietMs: this.inFlight > 0 ? 0 : this.sessions.quietMs(),
        requestsTotal: this.requestsTotal,
        failedTotal: this.failedTotal,
        requestsPerSecond: Number(this.window.requestsPerSecond().toFixed(2)),
        latencyMs: this.window.latencyMs(),
        membersUp: inService.filter((member) => member.up).length,
        members: inService.length,
      },
      members: this.members.map((member) => ({
        id: member.spec.id,
        up: member.up,
        inFlight: member.inFlight,
        sessions: member.sessions,
        lastProblem: member.monitor.lastProblem,
      })),
    };
  }

  /** Ends the monitors and refuses who still waits. Running requests end by themselves. */
  end(): void {
    this.queue.clear();
    for (const member of this.members) member.end();
  }

  private choose(bound: Member | undefined, avoid: ReadonlySet<Member> | undefined): Member | undefined {
    const limit = this.spec.maxConnections;
    if (bound !== undefined && bound.up && !avoid?.has(bound)) {
      return limit > 0 && bound.inFlight >= limit ? undefined : bound;
    }
    this.turn = (this.turn + 1) % Math.max(this.members.length, 1);
    return chooseMember(this.members, limit, this.turn, avoid);
  }

  private reconcileMembers(spec: BalancerPool): void {
    const kept: Member[] = [];
    for (const wanted of spec.members) {
      const present = this.members.find((member) => isSameServer(member.spec, wanted));
      if (present === undefined) {
        kept.push(new Member(wanted, spec.monitor, (member) => this.memberChanged(member)));
        continue;
      }
      present.draining = wanted.draining;
      present.weight = wanted.weight ?? 1;
      if (JSON.stringify(spec.monitor) !== JSON.stringify(this.spec.monitor))
        present.monitor.change(spec.monitor);
      kept.push(present);
    }
    for (const member of this.members) {
      if (kept.includes(member)) continue;
      member.end();
      this.sessions.memberGone(member);
      this.queue.release(member);
    }
    this.members = kept;
    this.byKey = new Map(kept.map((member) => [member.key, member]));
  }

  private memberChanged(member: Member): void {
    if (!member.up) {
      this.queue.release(member);
      member.agent.closeIdle();
      return this.pumpAll();
    }
    this.queue.forgive(member);
    this.pump(member);
  }

  private pumpAll(): void {
    for (const member of this.members) this.pump(member);
  }

  /** Gives a member's free places to those who wait. */
  private pump(member: Member): void {
    while (this.queue.length > 0 && member.up && this.hasRoom(member)) {
      const newUsers = !member.draining || !this.members.some((other) => other.up && !other.draining);
      const waiter = this.queue.take(member, newUsers);
      if (waiter === undefined) return;
      this.occupy(member);
      waiter.grant(member);
    }
  }

  private hasRoom(member: Member): boolean {
    return this.spec.maxConnections === 0 || member.inFlight < this.spec.maxConnections;
  }
}

function isSameServer(one: BalancerMember, other: BalancerMember): boolean {
  return one.id === other.id && one.address === other.address && one.port === other.port;
}
