import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { Server as NetServer, type Socket } from "node:net";
import type { PoolSpec } from "../../../lib/site/api";
import { ClientConnection } from "./client-connection";
import { Exchange } from "./exchange";
import { listenOn, RETIRE_GRACE_MS, type Front } from "./front";
import type { Pool } from "./pool";
import { Tunnel } from "./tunnel";

/** Longer than clients and other balancers keep a connection, so that they close theirs first. */
const KEEP_ALIVE_MS = 65_000;
/** A client that takes longer to send a request's head is cut off. */
const HEADERS_TIMEOUT_MS = 10_000;
/** A client that neither sends the body it owes nor reads its answer for so long is cut off. */
const STALL_MS = 60_000;
const SWEEP_MS = 100;
/** A new connection gets so long to send its first request before it counts as idle. */
const NEWCOMER_MS = 1_000;

interface ClientSocket extends Socket {
  clientConnection?: ClientConnection;
}

/** Listens for HTTP/1.1 clients of one pool. */
export class HttpFront implements Front {
  private readonly server: Server;
  private readonly connections = new Set<ClientConnection>();
  private readonly sweeper: NodeJS.Timeout;
  private leaving = false;

  constructor(
    private readonly pool: Pool,
    readonly listen: PoolSpec["listen"],
  ) {
    this.server = createServer({
      keepAliveTimeout: KEEP_ALIVE_MS,
      headersTimeout: HEADERS_TIMEOUT_MS,
      // Large bodies may take hours on a slow link; stalls are noticed by `timeout`.
      requestTimeout: 0,
      connectionsCheckingInterval: 2_000,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 30_000,
      insecureHTTPParser: false,
    });
    this.server.timeout = STALL_MS;
    // A header beyond a limit would be dropped in silence, and it could be the one that frames the body.
    this.server.maxHeadersCount = 0;
    this.server.on("connection", (socket: ClientSocket) => this.connected(socket));
    this.server.on("request", (request, response) => this.serve(request, response, false));
    this.server.on("checkContinue", (request, response) => this.serve(request, response, true));
    this.server.on("upgrade", (request, socket: ClientSocket, head: Buffer) => {
      new Tunnel(this.pool, connectionOf(socket), request, head).start();
    });
    this.server.on("connect", (_request, socket: Socket) => {
      socket.end("HTTP/1.1 405 Method Not Allowed\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    });
    this.server.on("timeout", (socket: ClientSocket) => closeIfStalled(socket));
    this.sweeper = setInterval(() => this.sweep(), SWEEP_MS).unref();
  }

  async open(): Promise<void> {
    await listenOn(this.server, this.listen);
  }

  /** {@link Front.retire} */
  async retire(keepIdle: boolean): Promise<void> {
    this.leaving = true;
    // Only the listener: the HTTP server's own close would cut idle connections off.
    NetServer.prototype.close.call(this.server);
    if (!keepIdle)
      for (const connection of this.connections) if (!connection.busy) connection.socket.destroy();
    const deadline = setTimeout(() => this.cut(), RETIRE_GRACE_MS);
    await this.whenEmpty();
    clearTimeout(deadline);
    clearInterval(this.sweeper);
    this.server.close();
  }

  private serve(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void {
    const connection = connectionOf(request.socket);
    new Exchange(this.pool, connection, request, response, expectsContinue, () => this.leaving).start();
  }

  private connected(socket: ClientSocket): void {
    const connection = new ClientConnection(socket);
    socket.clientConnection = connection;
    this.connections.add(connection);
    this.pool.connections.add(connection);
    socket.once("close", () => {
      for (const exchange of [...connection.exchanges]) exchange.closed();
      this.connections.delete(connection);
      this.pool.connections.delete(connection);
      this.pool.sessions.closed(connection);
    });
  }

  private cut(): void {
    for (const connection of this.connections) connection.socket.destroy();
  }

  /** Tunnels too, which are not the HTTP server's any more. */
  private whenEmpty(): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (this.connections.size === 0) resolve();
        else setTimeout(look, 20);
      };
      look();
    });
  }

  /** Closes idle connections of users who are to be moved. A request that crosses the close on the wire is lost to its client. */
  private sweep(): void {
    const { order } = this.pool;
    if (order.spec.share <= 0) return;
    const now = performance.now();
    for (const connection of this.connections) {
      // Who has just come is about to ask.
      const idleMs = connection.counted
        ? order.spec.idleCloseMs
        : Math.max(order.spec.idleCloseMs, NEWCOMER_MS);
      if (connection.busy || now - connection.idleSince < idleMs) continue;
      if (this.pool.mustLeave(connection)) connection.socket.destroySoon();
    }
  }
}

function connectionOf(socket: ClientSocket): ClientConnection {
  return (socket.clientConnection ??= new ClientConnection(socket));
}

/** Nothing moved for a while: cut it off if it is the client's turn, leave it if a member is thinking. */
function closeIfStalled(socket: ClientSocket): void {
  const connection = connectionOf(socket);
  if (!connection.busy || [...connection.exchanges].some((exchange) => exchange.isStalledByClient())) {
    socket.destroy();
  }
}
