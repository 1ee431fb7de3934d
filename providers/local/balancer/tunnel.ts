import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { ClientConnection, Served } from "./client-connection";
import type { Member } from "./member";
import { connectMember, isConnectFailure } from "./member-agent";
import type { Pool } from "./pool";
import { Visit } from "./visit";
import type { Waiter } from "./wait-queue";

const MAX_HEAD_BYTES = 64 * 1024;

/**
 * A request to upgrade (WebSocket): sent to a member over a connection of its own, then bytes both ways until one side ends.
 * Upgrades to HTTP/2 are not passed on; such a request is answered in HTTP/1.1, on a connection that ends with the answer.
 */
export class Tunnel implements Waiter<Member>, Served {
  wants: Member | undefined;
  avoid: Set<Member> | undefined;
  private readonly client: Socket;
  private readonly visit: Visit;
  private readonly upgrades: boolean;
  private member: Member | undefined;
  private upstream: Socket | undefined;
  private setCookie: string | undefined;
  private answer: Buffer | undefined = Buffer.alloc(0);
  private over = false;

  constructor(
    private readonly pool: Pool,
    private readonly connection: ClientConnection,
    private readonly request: IncomingMessage,
    /** Bytes that came behind the request's head. */
    private readonly early: Buffer,
  ) {
    this.client = connection.socket;
    this.visit = new Visit(pool, connection, request);
    this.upgrades = !/\bh2c\b/i.test(request.headers.upgrade ?? "");
  }

  start(): void {
    const { client, visit } = this;
    this.connection.exchanges.add(this);
    // A tunnel may be silent for hours; only its ends know when it is over.
    client.setTimeout(0);
    client.on("error", () => client.destroy());
    visit.begin();
    if (visit.head.refusal !== undefined) return this.refuseWith("400 Bad Request", visit.head.refusal);
    this.wants = visit.boundMember();
    this.dispatch();
  }

  /** {@link Waiter} */
  grant(member: Member): void {
    this.connect(member);
  }

  /** {@link Waiter} */
  refuse(): void {
    this.refuseWith("503 Service Unavailable", "no member is available");
  }

  isStalledByClient(): boolean {
    return false;
  }

  /** {@link Served} */
  closed(): void {
    const { pool, connection } = this;
    if (!connection.exchanges.delete(this)) return;
    this.over = true;
    pool.queue.cancel(this);
    this.upstream?.destroy();
    this.vacate();
    connection.idleSince = performance.now();
    this.visit.end();
  }

  private dispatch(): void {
    const member = this.pool.acquire(this.wants, this.avoid);
    if (member === undefined) this.pool.wait(this);
    else this.connect(member);
  }

  private connect(member: Member): void {
    this.member = member;
    this.setCookie = this.visit.bind(member);
    const upstream = connectMember({
      host: member.spec.address,
      port: member.spec.port,
      allowHalfOpen: true,
    });
    this.upstream = upstream;
    upstream.setKeepAlive(true, 30_000);
    upstream.once("connect", () => this.open(upstream));
    upstream.on("error", (error) => {
      member.monitor.suspect(error.message);
      if (this.over || this.upstream !== upstream) return;
      if (!isConnectFailure(error)) return;
      this.vacate();
      (this.avoid ??= new Set()).add(member);
      if (this.wants === member) this.wants = undefined;
      this.dispatch();
    });
    upstream.on("close", () => {
      if (this.over || this.upstream !== upstream || this.member === undefined) return;
      if (this.answer !== undefined) this.refuseWith("502 Bad Gateway", "the member failed to answer");
      else this.client.destroySoon();
    });
  }

  private open(upstream: Socket): void {
    const { client } = this;
    upstream.write(this.requestHeadText(), "latin1");
    if (this.early.length > 0) upstream.write(this.early);
    upstream.on("data", (chunk: Buffer) => {
      const out = this.answer === undefined ? chunk : this.answerHead(chunk);
      if (out !== undefined && !client.write(out)) {
        upstream.pause();
        client.once("drain", () => upstream.resume());
      }
    });
    upstream.on("end", () => client.end());
    client.on("data", (chunk: Buffer) => {
      if (!upstream.write(chunk)) {
        client.pause();
        upstream.once("drain", () => client.resume());
      }
    });
    client.on("end", () => upstream.end());
    client.resume();
  }

  private requestHeadText(): string {
    const { headers } = this.visit.head;
    let text = `${this.request.method} ${this.request.url} HTTP/1.1\r\n`;
    for (let index = 0; index < headers.length; index += 2)
      text += `${headers[index]}: ${headers[index + 1]}\r\n`;
    text += this.upgrades
      ? `Connection: Upgrade\r\nUpgrade: ${this.request.headers.upgrade}\r\n\r\n`
      : "Connection: close\r\n\r\n";
    return text;
  }

  /** Waits for the whole head of the answer, and adds the affinity cookie to it. */
  private answerHead(chunk: Buffer): Buffer | undefined {
    const answer = Buffer.concat([this.answer ?? Buffer.alloc(0), chunk]);
    const end = answer.indexOf("\r\n\r\n");
    if (end === -1) {
      this.answer = answer;
      if (answer.length > MAX_HEAD_BYTES)
        this.refuseWith("502 Bad Gateway", "the member's answer has no end of head");
      return undefined;
    }
    this.answer = undefined;
    this.visit.answered();
    let head = answer.toString("latin1", 0, end);
    if (!/^HTTP\/1\.1 101 /.test(head)) {
      // Not upgraded: one answer, then the connection ends; nothing more of the client's may reach the member unread.
      head = `${head.replace(/\r\n(?:connection|keep-alive):[^\r]*/gi, "")}\r\nConnection: close`;
      if (this.upgrades) this.client.removeAllListeners("data").resume();
    }
    if (this.setCookie !== undefined) head += `\r\nSet-Cookie: ${this.setCookie}`;
    return Buffer.concat([Buffer.from(head, "latin1"), answer.subarray(end)]);
  }

  private refuseWith(status: string, text: string): void {
    this.over = true;
    this.visit.failed();
    this.upstream?.destroy();
    this.vacate();
    this.client.end(
      `HTTP/1.1 ${status}\r\nContent-Type: text/plain\r\nContent-Length: ${text.length + 1}\r\nRetry-After: 1\r\nConnection: close\r\n\r\n${text}\n`,
    );
  }

  private vacate(): void {
    const member = this.member;
    if (member === undefined) return;
    this.member = undefined;
    this.pool.vacate(member);
  }
}
