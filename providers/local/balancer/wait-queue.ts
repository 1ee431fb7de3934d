/** A request that waits for a member. */
export interface Waiter<M> {
  /** Only this member will do (the user is bound to it), unless it goes away. */
  readonly wants: M | undefined;
  /** Members that refused it already. */
  readonly avoid: Set<M> | undefined;
  grant(member: M): void;
  /** It waited for too long, or there is no room to wait. */
  refuse(): void;
}

interface Entry<M> {
  readonly waiter: Waiter<M>;
  readonly order: number;
  readonly timer: NodeJS.Timeout;
}

/**
 * Requests that wait for a member, first come first served, for a bounded time and in a bounded number. Those bound to one member
 * wait in a line of their own, so that they hold up nobody else.
 */
export class WaitQueue<M> {
  private readonly anyMember = new Map<Waiter<M>, Entry<M>>();
  private readonly bound = new Map<M, Map<Waiter<M>, Entry<M>>>();
  private count = 0;
  private nextOrder = 0;

  constructor(
    private readonly patienceMs: number,
    private readonly capacity: number,
  ) {}

  get length(): number {
    return this.count;
  }

  add(waiter: Waiter<M>): void {
    if (this.count >= this.capacity) return waiter.refuse();
    const timer = setTimeout(() => {
      if (this.cancel(waiter)) waiter.refuse();
    }, this.patienceMs);
    this.lineOf(waiter).set(waiter, { waiter, order: this.nextOrder++, timer });
    this.count += 1;
  }

  /** Takes it out (its client has gone). @returns whether it was waiting */
  cancel(waiter: Waiter<M>): boolean {
    const line = this.anyMember.has(waiter) ? this.anyMember : this.boundLineOf(waiter);
    const entry = line?.get(waiter);
    if (line === undefined || entry === undefined) return false;
    clearTimeout(entry.timer);
    line.delete(waiter);
    this.count -= 1;
    return true;
  }

  /** The one whose turn it is at `member`, taken out. `newUsers`: may the member take those that are not bound to it? */
  take(member: M, newUsers: boolean): Waiter<M> | undefined {
    const own = first(this.bound.get(member));
    let other: Entry<M> | undefined;
    if (newUsers) {
      for (const entry of this.anyMember.values()) {
        if (entry.waiter.avoid?.has(member)) continue;
        other = entry;
        break;
      }
    }
    const next = own === undefined || (other !== undefined && other.order < own.order) ? other : own;
    if (next === undefined) return undefined;
    this.cancel(next.waiter);
    return next.waiter;
  }

  /** A member is gone or down: whoever waited for it takes any other. */
  release(member: M): void {
    const line = this.bound.get(member);
    if (line === undefined) return;
    this.bound.delete(member);
    for (const [waiter, entry] of line) this.anyMember.set(waiter, entry);
  }

  /** A member proved good again: nobody need avoid it. */
  forgive(member: M): void {
    for (const waiter of this.anyMember.keys()) waiter.avoid?.delete(member);
  }

  /** The pool closes: refuses everybody. */
  clear(): void {
    for (const line of [this.anyMember, ...this.bound.values()]) {
      for (const waiter of [...line.keys()]) if (this.cancel(waiter)) waiter.refuse();
    }
  }

  private lineOf(waiter: Waiter<M>): Map<Waiter<M>, Entry<M>> {
    if (waiter.wants === undefined) return this.anyMember;
    let line = this.bound.get(waiter.wants);
    if (line === undefined) this.bound.set(waiter.wants, (line = new Map()));
    return line;
  }

  private boundLineOf(waiter: Waiter<M>): Map<Waiter<M>, Entry<M>> | undefined {
    return waiter.wants === undefined ? undefined : this.bound.get(waiter.wants);
  }
}

function first<K, V>(map: Map<K, V> | undefined): V | undefined {
  return map?.values().next().value;
}
