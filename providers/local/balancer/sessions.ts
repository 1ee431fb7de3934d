import type { ClientConnection } from "./client-connection";
import type { Member } from "./member";

/** Someone with an affinity cookie. */
export interface User {
  readonly id: string;
  member: Member | undefined;
  /** Open connections whose last request was this user's. */
  connections: number;
  /** The client has sent the cookie back: it keeps cookies. */
  confirmed: boolean;
  lastSeen: number;
}

/** More users than that are not remembered one by one; the longest away are forgotten first. */
const MAX_USERS = 200_000;

/**
 * Who is at a pool: open connections that have sent a request, and users with an affinity cookie who were seen lately and have no
 * connection open.
 */
export class Sessions {
  private readonly users = new Map<string, User>();
  /** Users without a connection, longest away first. */
  private readonly away = new Map<string, User>();
  /** Open connections with a user behind them. */
  connections = 0;
  private lastActivity: number | undefined;

  /**
   * `clock`: milliseconds, monotonic. `quietSince`: for a pool that was restored; who was here before is unknown, so it counts as
   * quiet only from now on.
   */
  constructor(
    public idleMs: number,
    quietSince: number | undefined,
    private readonly clock: () => number = () => performance.now(),
  ) {
    this.lastActivity = quietSince;
  }

  /** A request (or a TCP client's first byte) came in. `cookieUser`: the user that its cookie names, and the member. */
  arrived(connection: ClientConnection, cookieUser?: string, member?: Member): void {
    this.lastActivity = this.clock();
    if (!connection.counted) {
      connection.counted = true;
      this.connections += 1;
    }
    if (cookieUser === undefined) return;
    const user = this.attach(connection, cookieUser);
    user.confirmed = true;
    if (user.member === undefined && member !== undefined) setMember(user, member);
  }

  /** The user behind a connection is bound to a member from now on. */
  bind(connection: ClientConnection, userId: string, member: Member): void {
    setMember(this.attach(connection, userId), member);
  }

  /** An answer went out. */
  answered(): void {
    this.lastActivity = this.clock();
  }

  /** The user's cookie was taken away: once the connection is closed there is nobody left. */
  forget(connection: ClientConnection): void {
    const user = connection.user;
    if (user === undefined) return;
    connection.user = undefined;
    user.connections -= 1;
    if (user.connections === 0) this.drop(user);
  }

  closed(connection: ClientConnection): void {
    if (!connection.counted) return;
    connection.counted = false;
    this.connections -= 1;
    this.lastActivity = this.clock();
    this.detach(connection);
  }

  /** The member is gone: its users belong to nobody until they come again. */
  memberGone(member: Member): void {
    for (const user of this.users.values()) if (user.member === member) setMember(user, undefined);
  }

  /** Users now. */
  total(): number {
    this.expire();
    return this.connections + this.away.size;
  }

  /** Forgets who has been silent for too long. */
  expire(): void {
    const oldest = this.clock() - this.idleMs;
    for (const user of this.away.values()) if (user.lastSeen <= oldest) this.drop(user);
  }

  /** Milliseconds since anybody was here; `Number.MAX_SAFE_INTEGER` when nobody ever was. */
  quietMs(): number {
    if (this.connections > 0) return 0;
    if (this.lastActivity === undefined) return Number.MAX_SAFE_INTEGER;
    return Math.max(0, Math.round(this.clock() - this.lastActivity));
  }

  private attach(connection: ClientConnection, id: string): User {
    let user = this.users.get(id);
    if (user === undefined) {
      user = { id, member: undefined, connections: 0, confirmed: false, lastSeen: 0 };
      this.users.set(id, user);
      if (this.users.size > MAX_USERS) this.dropLongestAway();
    }
    user.lastSeen = this.clock();
    if (connection.user !== user) {
      this.detach(connection);
      connection.user = user;
      user.connections += 1;
      this.away.delete(id);
    }
    return user;
  }

  private detach(connection: ClientConnection): void {
    const user = connection.user;
    if (user === undefined) return;
    connection.user = undefined;
    user.connections -= 1;
    if (user.connections > 0) return;
    // A client that never sent the cookie back keeps none: nobody to wait for.
    if (!user.confirmed) return this.drop(user);
    user.lastSeen = connection.busy ? this.clock() : Math.max(user.lastSeen, connection.idleSince);
    this.away.set(user.id, user);
  }

  private dropLongestAway(): void {
    for (const user of this.away.values()) return this.drop(user);
  }

  private drop(user: User): void {
    setMember(user, undefined);
    this.users.delete(user.id);
    this.away.delete(user.id);
  }
}

function setMember(user: User, member: Member | undefined): void {
  if (user.member === member) return;
  if (user.member !== undefined) user.member.sessions -= 1;
  if (member !== undefined) member.sessions += 1;
  user.member = member;
}
