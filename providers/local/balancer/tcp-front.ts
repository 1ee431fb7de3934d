import { createServer, type Server, type Socket } from "node:net";
import type { PoolSpec } from "../../../lib/site/api";
import { ClientConnection } from "./client-connection";
import { listenOn, RETIRE_GRACE_MS, type Front } from "./front";
import { Passage } from "./passage";
import type { Pool } from "./pool";

/** Listens for clients of one pool whose protocol is their own business. */
export class TcpFront implements Front {
  private readonly server: Server;
  private readonly connections = new Set<ClientConnection>();

  constructor(
    private readonly pool: Pool,
    readonly listen: PoolSpec["listen"],
  ) {
    this.server = createServer({
      allowHalfOpen: true,
      pauseOnConnect: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 30_000,
    });
    this.server.on("connection", (socket) => this.connected(socket));
  }

  async open(): Promise<void> {
    await listenOn(this.server, this.listen);
  }

  /** {@link Front.retire} */
  async retire(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    const deadline = setTimeout(() => {
      for (const connection of this.connections) connection.socket.destroy();
    }, RETIRE_GRACE_MS);
    await closed;
    clearTimeout(deadline);
  }

  private connected(socket: Socket): void {
    const connection = new ClientConnection(socket);
    this.connections.add(connection);
    this.pool.connections.add(connection);
    socket.once("close", () => {
      for (const served of [...connection.exchanges]) served.closed();
      this.connections.delete(connection);
      this.pool.connections.delete(connection);
      this.pool.sessions.closed(connection);
    });
    new Passage(this.pool, connection).start();
  }
}
