import type { Server as HttpServer } from "node:http";
import type { Server as TcpServer } from "node:net";
import { messageOf } from "../../../lib/errors";
import type { PoolSpec } from "../../../lib/site/api";
import { controlProblem } from "../control";

/** Running answers get so long to end when a pool is removed or its listener moves. */
export const RETIRE_GRACE_MS = 10_000;

/** What a pool listens on. */
export interface Front {
  readonly listen: PoolSpec["listen"];
  /** @throws SpillwayError with code `port-taken` */
  open(): Promise<void>;
  /**
   * Takes no new client, lets running answers end for at most {@link RETIRE_GRACE_MS}, closes every connection. `keepIdle`: idle
   * ones are kept so long too, to end with an answer, for the pool goes on elsewhere.
   */
  retire(keepIdle: boolean): Promise<void>;
}

/** Listens, or says why not in the house's voice. */
export function listenOn(server: HttpServer | TcpServer, listen: PoolSpec["listen"]): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException) => reject(listenProblem(listen, error));
    server.once("error", failed);
    try {
      server.listen({ host: listen.address, port: listen.port, backlog: 4_096 }, () => {
        server.removeListener("error", failed);
        // An accept that fails (no file descriptors left) must not end the balancer: the client tries again.
        server.on("error", () => undefined);
        resolve();
      });
    } catch (error) {
      failed(error as NodeJS.ErrnoException);
    }
  });
}

function listenProblem(listen: PoolSpec["listen"], error: NodeJS.ErrnoException): Error {
  const place = `${listen.address}:${listen.port}`;
  if (error.code === "EADDRINUSE") {
    return controlProblem("port-taken", {
      place,
      problem: `port ${listen.port} of ${listen.address} is taken by another program or pool`,
      mend: "Choose another port in `listen`, or end what listens there.",
    });
  }
  return controlProblem("invalid", {
    place,
    problem: `the balancer cannot listen on ${place}: ${messageOf(error)}`,
    mend:
      error.code === "EACCES"
        ? "Choose a port above 1023, or let the agent's user bind low ports."
        : "Choose an address of this machine in `listen`.",
  });
}
