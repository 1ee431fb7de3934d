import { ClientRequest, type IncomingMessage, type ServerResponse } from "node:http";
import type { ClientConnection } from "./client-connection";
import { answerHeaders } from "./headers";
import type { Member } from "./member";
import { freshConnections, isConnectFailure } from "./member-agent";
import type { Pool } from "./pool";
import { Visit } from "./visit";
import type { Waiter } from "./wait-queue";

const IDEMPOTENT = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]);

/** A request that was sent and lost is sent so often again. Refused connections do not count: nothing was sent. */
const MAX_RESENDS = 2;

/** One request on its way through the balancer: chosen a member for, sent, sent again if need be, answered. */
export class Exchange implements Waiter<Member> {
  wants: Member | undefined;
  avoid: Set<Member> | undefined;
  private readonly visit: Visit;
  private member: Member | undefined;
  private upstream: ClientRequest | undefined;
  private setCookie: string | undefined;
  private resends = 0;
  private bodyStarted = false;
  private continued = false;
  private headSent = false;
  private flushed = false;
  /** The member's answer is complete, or there will be none. */
  private over = false;

  constructor(
    private readonly pool: Pool,
    private readonly connection: ClientConnection,
    private readonly request: IncomingMessage,
    private readonly response: ServerResponse,
    /** The client waits for `100 Continue` before it sends the body. */
    private readonly expectsContinue: boolean,
    /** The listener that it came by closes: its connections leave. */
    private readonly isLeaving: () => boolean,
  ) {
    this.visit = new Visit(pool, connection, request);
  }

  start(): void {
    const { visit } = this;
    this.connection.exchanges.add(this);
    visit.begin();
    this.response.once("close", () => this.closed());
    if (visit.head.refusal !== undefined) return this.refuseWith(400, visit.head.refusal);
    this.wants = visit.boundMember();
    // A prober wants to know how it is now; it does not wait in the users' queue for a member to come up.
    if (visit.isProbe && !this.pool.hasMemberUp()) return this.unavailable();
    this.dispatch();
  }

  /** {@link Waiter} */
  grant(member: Member): void {
    this.send(member, false);
  }

  /** {@link Waiter} */
  refuse(): void {
    this.unavailable();
  }

  /** Nothing moved on the client's connection for long: is it the client that does not read, or does not send on? */
  isStalledByClient(): boolean {
    const uploading =
      this.visit.head.hasBody && !this.request.complete && this.request.readableFlowing === true;
    return uploading || this.response.writableLength > 0;
  }

  private dispatch(lostOn?: Member): void {
    let avoid = this.avoid;
    if (lostOn !== undefined) avoid = new Set([...(this.avoid ?? []), lostOn]);
    const member = this.pool.acquire(this.wants, avoid);
    if (member !== undefined) return this.send(member, false);
    if (lostOn !== undefined) {
      // Nobody else is there. The kept connections may all be stale, so a new one.
      const same = this.pool.acquire(this.wants, this.avoid);
      if (same !== undefined) return this.send(same, true);
    }
    this.pool.wait(this);
  }

  private send(member: Member, fresh: boolean): void {
    this.member = member;
    this.setCookie = this.visit.bind(member);
    let upstream: ClientRequest;
    try {
      upstream = new ClientRequest({
        host: member.spec.address,
        port: member.spec.port,
        agent: fresh ? freshConnections : member.agent,
        method: this.request.method,
        path: this.request.url,
        headers: this.visit.head.headers as unknown as NodeJS.Dict<string>,
        setHost: false,
      } as ConstructorParameters<typeof ClientRequest>[0]);
    } catch {
      this.vacate();
      return this.refuseWith(400, "the request cannot be passed on");
    }
    this.upstream = upstream;
    upstream.on("response", (answer: IncomingMessage) => this.answered(member, answer));
    upstream.on("error", (error: Error) => this.failed(member, upstream, error));
    // Neither answer nor error: it answered with an upgrade that nobody asked for.
    upstream.on("close", () => this.failed(member, upstream, new Error("it closed without an answer")));
    upstream.on("timeout", () =>
      upstream.destroy(Object.assign(new Error("no answer in time"), { code: "ESLOW" })),
    );
    if (this.expectsContinue) {
      upstream.on("continue", () => {
        this.continued = true;
        this.response.writeContinue();
      });
    }
    if (!this.visit.head.hasBody) upstream.end();
    else
      upstream.once("socket", (socket) => {
        // The body must stay unread until the member has accepted, or it could not go to another.
        if (socket.connecting) socket.once("connect", () => this.sendBody(upstream));
        else this.sendBody(upstream);
      });
  }

  private sendBody(upstream: ClientRequest): void {
    if (this.upstream !== upstream || this.over) return;
    const { request } = this;
    upstream.flushHeaders();
    request.on("data", (chunk: Buffer) => {
      this.bodyStarted = true;
      if (this.over || upstream.destroyed) return;
      if (!upstream.write(chunk)) {
        request.pause();
        upstream.once("drain", () => request.resume());
      }
    });
    request.on("end", () => {
      this.bodyStarted = true;
      if (!upstream.destroyed) upstream.end();
    });
  }

  private answered(member: Member, answer: IncomingMessage): void {
    member.agent.learn(answer.socket, answer.rawHeaders);
    const { response } = this;
    if (response.destroyed || this.over) return void answer.destroy();
    const headers = answerHeaders(answer.rawHeaders);
    this.farewell(headers);
    if (this.setCookie !== undefined) headers.push("Set-Cookie", this.setCookie);
    if (this.expectsContinue && !this.continued) response.shouldKeepAlive = false;
    try {
      response.writeHead(answer.statusCode ?? 502, answer.statusMessage, headers);
    } catch {
      answer.destroy();
      this.vacate();
      return this.refuseWith(502, "the member's answer cannot be passed on", true);
    }
    this.headSent = true;
    answer.on("data", (chunk: Buffer) => {
      this.flushed = true;
      if (!response.write(chunk)) {
        answer.pause();
        response.once("drain", () => answer.resume());
      }
    });
    answer.on("end", () => this.complete());
    answer.on("error", () => undefined);
    answer.on("close", () => {
      if (!this.over) this.broken(member);
    });
    // A head without a body yet (an event stream) must not wait for the first bytes of it.
    setImmediate(() => {
      if (!this.flushed && !this.over && !response.destroyed) response.flushHeaders();
    });
  }

  /** Tells a user who is to be moved so, with the answer: nothing is lost that way. */
  private farewell(headers: string[]): void {
    if (this.isLeaving()) this.response.shouldKeepAlive = false;
    if (!this.visit.mustLeave()) return;
    this.response.shouldKeepAlive = false;
    if (!this.pool.everybodyLeaves) return;
    this.setCookie = undefined;
    const freed = this.visit.release();
    if (freed !== undefined) headers.push("Set-Cookie", freed);
  }

  private complete(): void {
    if (this.over) return;
    this.over = true;
    const { upstream, request } = this;
    // Answered before all of the body was read: the rest goes nowhere, and the member's connection cannot be used again.
    if (this.visit.head.hasBody && !request.complete) {
      upstream?.destroy();
      request.removeAllListeners("data");
      request.resume();
    }
    this.vacate();
    this.response.end();
  }

  /** The member died in the middle of its answer: the client must see that it is incomplete. */
  private broken(member: Member): void {
    this.over = true;
    member.monitor.suspect("it closed the connection in the middle of an answer");
    this.visit.failed();
    this.vacate();
    this.response.destroy();
  }

  private failed(member: Member, upstream: ClientRequest, error: Error): void {
    if (this.over || this.upstream !== upstream || this.headSent) return;
    this.upstream = undefined;
    const slow = (error as NodeJS.ErrnoException).code === "ESLOW";
    const refused = isConnectFailure(error);
    if (!slow && (refused || !upstream.reusedSocket)) member.monitor.suspect(error.message);
    this.vacate();
    if (this.response.destroyed) return;
    if (slow) return this.refuseWith(504, "the member did not answer in time", true);
    if (refused && !this.bodyStarted) {
      this.avoid ??= new Set();
      this.avoid.add(member);
      if (this.wants === member) this.wants = undefined;
      return this.dispatch();
    }
    const resend = !this.visit.head.hasBody && IDEMPOTENT.has(this.request.method ?? "");
    if (resend && this.resends < MAX_RESENDS) {
      this.resends += 1;
      return this.dispatch(member);
    }
    this.refuseWith(502, "the member failed to answer", true);
  }

  private unavailable(): void {
    this.refuseWith(503, "no member is available", true);
  }

  /** The balancer's own answer. */
  private refuseWith(status: number, text: string, isFailure = false): void {
    this.over = true;
    const { response, request } = this;
    if (isFailure) this.visit.failed();
    if (response.headersSent || response.destroyed) return void response.destroy();
    // After a doubtful request nothing more of that connection can be trusted.
    if (status === 400 || (this.visit.head.hasBody && !request.complete)) response.shouldKeepAlive = false;
    const headers = ["Content-Type", "text/plain", "Content-Length", String(text.length + 1)];
    if (status === 503) headers.push("Retry-After", "1");
    this.farewell(headers);
    response.writeHead(status, headers);
    response.end(`${text}\n`);
  }

  private vacate(): void {
    const member = this.member;
    if (member === undefined) return;
    this.member = undefined;
    this.pool.vacate(member);
  }

  /** The answer is out, or the client is gone. */
  closed(): void {
    const { pool, connection, response } = this;
    if (!connection.exchanges.delete(this)) return;
    if (!this.over) {
      this.over = true;
      pool.queue.cancel(this);
      this.upstream?.destroy();
      this.vacate();
    }
    connection.idleSince = performance.now();
    this.visit.end();
    if (response.writableFinished) this.visit.answered();
  }
}
