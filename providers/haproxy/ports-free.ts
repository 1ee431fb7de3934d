import { createServer } from "node:net";
import type { PoolSpec } from "../../lib/site/api";

/** Why a listener cannot be had. */
export interface ListenProblem {
  readonly code: "port-taken" | "invalid";
  readonly problem: string;
}

/** Tries to listen there for a moment. Undefined when it can be had. */
export function isListenFree({ address, port }: PoolSpec["listen"]): Promise<ListenProblem | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => {
      const code = error.code === "EADDRINUSE" ? "port-taken" : "invalid";
      const problem =
        error.code === "EADDRINUSE"
          ? "another process listens there already"
          : error.code === "EADDRNOTAVAIL"
            ? "it is no address of this machine"
            : error.message;
      resolve({ code, problem });
    });
    server.listen({ host: address, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}
