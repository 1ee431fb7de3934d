import type { Socket } from "node:net";
import type { ClientConnection, Served } from "./client-connection";
import type { Member } from "./member";
import { connectMember, isConnectFailure } from "./member-agent";
import type { Pool } from "./pool";
import type { Waiter } from "./wait-queue";

/** A connection that has sent nothing is taken for a probe until it is this old; some protocols let the server speak first. */
const SILENT_USER_MS = 1_000;

/** One raw connection to a member. */
export class Passage implements Waiter<Member>, Served {
  readonly wants = undefined;
  avoid: Set<Member> | undefined;
  private readonly client: Socket;
  private readonly started = performance.now();
  private readonly silence = setTimeout(() => this.isUser(), SILENT_USER_MS);
  private member: Member | undefined;
  private upstream: Socket | undefined;
  private counted = false;
  private connected = false;
  private over = false;

  constructor(
    private readonly pool: Pool,
    private readonly connection: ClientConnection,
  ) {
    this.client = connection.socket;
  }

  start(): void {
    this.connection.exchanges.add(this);
    this.client.on("error", () => this.client.destroy());
    this.dispatch();
  }

  /** {@link Waiter} */
  grant(member: Member): void {
    this.connect(member);
  }

  /** {@link Waiter} */
  refuse(): void {
    this.isUser();
    this.pool.failedTotal += 1;
    this.client.destroy();
  }

  isStalledByClient(): boolean {
    return false;
  }

  /** {@link Served} */
  closed(): void {
    if (!this.connection.exchanges.delete(this)) return;
    this.over = true;
    clearTimeout(this.silence);
    this.pool.queue.cancel(this);
    this.upstream?.destroy();
    this.vacate();
    if (!this.counted) return;
    this.pool.inFlight -= 1;
    this.pool.sessions.answered();
  }

  private isUser(): void {
    if (this.counted || this.over) return;
    this.counted = true;
    clearTimeout(this.silence);
    this.pool.inFlight += 1;
    this.pool.requestsTotal += 1;
    this.pool.window.arrived();
    this.pool.sessions.arrived(this.connection);
  }

  private dispatch(): void {
    const member = this.pool.acquire(undefined, this.avoid);
    if (member === undefined) this.pool.wait(this);
    else this.connect(member);
  }

  private connect(member: Member): void {
    this.member = member;
    const upstream = connectMember({
      host: member.spec.address,
      port: member.spec.port,
      allowHalfOpen: true,
    });
    this.upstream = upstream;
    upstream.setKeepAlive(true, 30_000);
    upstream.once("connect", () => this.join(upstream));
    upstream.on("error", (error) => {
      member.monitor.suspect(error.message);
      if (this.over || this.upstream !== upstream) return;
      if (this.connected || !isConnectFailure(error)) return;
      this.vacate();
      (this.avoid ??= new Set()).add(member);
      this.dispatch();
    });
    upstream.on("close", (hadError) => {
      if (this.over || this.upstream !== upstream || !this.connected) return;
      if (hadError) this.client.resetAndDestroy();
      else this.client.destroySoon();
    });
  }

  private join(upstream: Socket): void {
    this.connected = true;
    upstream.once("data", () => {
      if (this.counted) this.pool.window.answered(performance.now() - this.started);
    });
    // The client stays unread until a member has taken it; then its first bytes make it a user.
    this.client.once("data", () => this.isUser());
    upstream.pipe(this.client);
    this.client.pipe(upstream);
  }

  private vacate(): void {
    const member = this.member;
    if (member === undefined) return;
    this.member = undefined;
    this.pool.vacate(member);
  }
}
