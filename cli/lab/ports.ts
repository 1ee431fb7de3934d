import { createServer } from "node:net";
import { SpillwayError, messageOf } from "../../lib/errors";

/** A port that is free now, over TCP, at every one of these addresses. */
export async function freePortAt(addresses: readonly string[]): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const port = await tryListen(addresses[0], 0);
    const others = await Promise.allSettled(addresses.slice(1).map((address) => tryListen(address, port)));
    if (others.every((outcome) => outcome.status === "fulfilled")) return port;
  }
  throw new SpillwayError({
    place: addresses.join(", "),
    problem: "found no port in 50 tries that is free at all of these addresses",
    mend: "Say one with --port, and see what holds it: ss -ltnp",
  });
}

/** Is `port` free at every address? @throws SpillwayError that names the address and who is to be asked */
export async function assertFree(addresses: readonly string[], port: number): Promise<void> {
  for (const address of addresses) {
    try {
      await tryListen(address, port);
    } catch (error) {
      throw new SpillwayError(
        {
          place: `${address}:${port}`,
          problem: `the lab cannot listen there: ${messageOf(error)}`,
          mend: "Choose another with --port, or leave --port out: the lab then takes a free one.",
        },
        { cause: error },
      );
    }
  }
}

function tryListen(address: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen({ host: address, port, exclusive: true }, () => {
      const bound = server.address();
      server.close(() => resolve(typeof bound === "object" && bound !== null ? bound.port : port));
    });
  });
}
