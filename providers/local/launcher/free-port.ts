import { createServer } from "node:net";
import { SpillwayError, messageOf } from "../../../lib/errors";

/**
 * Below the range that systems take for outgoing connections (32768 upwards on Linux, 49152 elsewhere), so that none of those
 * takes the port between here and the member's own listen.
 */
const FIRST = 20_000;
const LAST = 32_767;

/**
 * A port on which nobody listens at `address`, and which `taken` does not name.
 * @throws SpillwayError when the address is not this machine's, or no port is left
 */
export async function freePort(address: string, taken: ReadonlySet<number>): Promise<number> {
  const count = LAST - FIRST + 1;
  const start = Math.floor(Math.random() * count);
  for (let step = 0; step < count; step++) {
    const port = FIRST + ((start + step * 7919) % count);
    if (!taken.has(port) && (await canListen(address, port))) return port;
  }
  throw new SpillwayError({
    place: address,
    problem: `no port between ${FIRST} and ${LAST} is free`,
    mend: "End what holds them, or launch fewer members.",
  });
}

function canListen(address: string, port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE" || error.code === "EACCES") resolve(false);
      else {
        reject(
          new SpillwayError(
            {
              place: address,
              problem: `members cannot listen at ${address}: ${messageOf(error)}`,
              mend: "Use an address of this machine in the pool's `listen`.",
            },
            { cause: error },
          ),
        );
      }
    });
    server.listen({ host: address, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
