import type { IncomingMessage } from "node:http";
import { bindCookie, expireCookie, newUser, parseAffinity, type Affinity } from "./affinity";
import type { ClientConnection } from "./client-connection";
import { requestHead, type RequestHead } from "./headers";
import type { Member } from "./member";
import type { Pool } from "./pool";

/** Who asks: the head of one request, the user behind it, and what both mean for counting and for affinity. Probes are nobody. */
export class Visit {
  readonly head: RequestHead;
  private readonly affinity: Affinity | undefined;
  private readonly started = performance.now();
  /** A user is behind it: no probe, and no stranger who asks for another host. */
  private readonly isUser: boolean;

  constructor(
    private readonly pool: Pool,
    private readonly connection: ClientConnection,
    request: IncomingMessage,
  ) {
    this.head = requestHead(
      request.method ?? "GET",
      request.rawHeaders,
      connection,
      pool.affinity ? pool.cookie : undefined,
      pool.spec.probeKey,
    );
    const { affinityCookie } = this.head;
    this.affinity = affinityCookie === undefined ? undefined : parseAffinity(affinityCookie);
    // Kept from its beginning to its end, whatever becomes of the pool meanwhile.
    this.isUser = !this.isProbe && pool.isAskedFor(this.head.host);
  }

  get isProbe(): boolean {
    return this.head.isProbe;
  }

  /** Counts it, and its user. */
  begin(): void {
    if (this.isProbe) return;
    const { pool, connection, affinity } = this;
    pool.requestsTotal += 1;
    pool.window.arrived();
    if (!this.isUser) return;
    if (!connection.counted && affinity !== undefined) connection.cohortKey = affinity.user;
    pool.inFlight += 1;
    pool.sessions.arrived(connection, affinity?.user, affinity && pool.memberByKey(affinity.memberKey));
  }

  /** The answer is out, or the client is gone. */
  end(): void {
    if (!this.isUser) return;
    this.pool.inFlight -= 1;
    this.pool.sessions.answered();
  }

  answered(): void {
    if (!this.isProbe) this.pool.window.answered(performance.now() - this.started);
  }

  failed(): void {
    if (!this.isProbe) this.pool.failedTotal += 1;
  }

  /** The member that the user belongs to, if it can serve. */
  boundMember(): Member | undefined {
    const member = this.affinity && this.pool.memberByKey(this.affinity.memberKey);
    return member?.up === true ? member : undefined;
  }

  /** Binds the user to the member that serves it. @returns the cookie to set, if it is news to the client */
  bind(member: Member): string | undefined {
    const { pool, connection, affinity } = this;
    if (!pool.affinity || !this.isUser || affinity?.memberKey === member.key) return undefined;
    // A draining member takes no new user: this one is only served, because nobody else is up.
    if (member.draining || pool.everybodyLeaves) return undefined;
    const known = connection.user;
    const user = affinity?.user ?? (known !== undefined && !known.confirmed ? known.id : newUser());
    pool.sessions.bind(connection, user, member);
    return bindCookie(pool.cookie, { memberKey: member.key, user });
  }

  /** Must this answer be the user's last on this connection, because it is to be moved? */
  mustLeave(): boolean {
    return !this.isProbe && this.pool.mustLeave(this.connection);
  }

  /** The cookie that frees a user who leaves for good, if there is one to take away. */
  release(): string | undefined {
    if (this.head.affinityCookie === undefined) return undefined;
    this.pool.sessions.forget(this.connection);
    return expireCookie(this.pool.cookie);
  }
}
