import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";

/** One site as clients see it: a real HTTP server whose manners a test can change. */
export class TestSite {
  /** Adds `Connection: close` to answers. */
  closing = false;
  latencyMs = 2;
  /** Instead of the good answer. */
  misbehave: ((request: IncomingMessage, response: ServerResponse) => void) | undefined;
  /** Close so many connections that have served before, instead of an answer. */
  closeUnanswered = 0;
  requests = 0;
  private readonly served = new WeakSet<Socket>();
  readonly cookiesSeen = new Set<string>();
  readonly clients = new Set<string>();
  private readonly sockets = new Set<Socket>();
  private readonly server: Server;

  private constructor(readonly site: string) {
    this.server = createServer((request, response) => this.answer(request, response));
    this.server.keepAliveTimeout = 60_000;
    this.server.on("connection", (socket) => {
      this.sockets.add(socket);
      socket.on("close", () => this.sockets.delete(socket));
    });
  }

  static async start(site: string, address: string, port = 0): Promise<TestSite> {
    const made = new TestSite(site);
    await new Promise<void>((resolve, reject) => {
      made.server.once("error", reject);
      made.server.listen(port, address, resolve);
    });
    return made;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get openConnections(): number {
    return this.sockets.size;
  }

  closeIdleConnections(): void {
    this.server.closeIdleConnections();
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    this.requests++;
    this.clients.add(request.socket.remoteAddress ?? "");
    if (request.headers.cookie) this.cookiesSeen.add(request.headers.cookie);
    if (this.misbehave) return this.misbehave(request, response);
    if (this.closeUnanswered > 0 && this.served.has(request.socket)) {
      this.closeUnanswered--;
      return void request.socket.destroy();
    }
    this.served.add(request.socket);
    setTimeout(() => {
      if (this.closing) response.setHeader("connection", "close");
      if (!request.headers.cookie?.includes("SRV="))
        response.setHeader("set-cookie", "SRV=m1; Path=/; HttpOnly");
      response.end(JSON.stringify({ site: this.site, member: "m1", version: "v1" }));
    }, this.latencyMs);
  }
}

/** Two sites on one port, as the lab has them. */
export async function startTwoSites(): Promise<{ onprem: TestSite; cloud: TestSite; port: number }> {
  const onprem = await TestSite.start("onprem", "127.0.1.1");
  const cloud = await TestSite.start("cloud", "127.0.2.1", onprem.port);
  return { onprem, cloud, port: onprem.port };
}

export const ADDRESSES = { onprem: "127.0.1.1", cloud: "127.0.2.1" } as const;
