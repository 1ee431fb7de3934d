import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { createServer, isIPv6, type Server as TcpServer } from "node:net";
import { messageOf } from "../../../lib/errors";
import { controlProblem } from "../control";
import type { Responder } from "./responder";
import { serveTcp } from "./tcp";

const ANY_PORT_ATTEMPTS = 10;
const UDP_BUFFER_BYTES = 4 * 1024 * 1024;

/** The address and port that queries come to, over UDP and TCP alike. */
export class Endpoint {
  private constructor(
    readonly address: string,
    readonly port: number,
    private readonly udp: UdpSocket,
    private readonly tcp: TcpServer,
  ) {}

  /**
   * Listens. Port 0 takes one that is free for both.
   * @throws SpillwayError with code `port-taken`
   */
  static async open(address: string, port: number, responder: Responder): Promise<Endpoint> {
    for (let attempt = 1; ; attempt += 1) {
      const tcp = createServer({ allowHalfOpen: true, noDelay: true }, (socket) =>
        serveTcp(socket, responder),
      );
      tcp.maxConnections = 1_000;
      let udp: UdpSocket | undefined;
      try {
        udp = await openUdp(address, port, responder);
        const bound = udp.address().port;
        await new Promise<void>((resolve, reject) => {
          tcp.once("error", reject);
          tcp.listen(bound, address, () => {
            tcp.removeListener("error", reject);
            tcp.on("error", () => undefined);
            resolve();
          });
        });
        return new Endpoint(address, bound, udp, tcp);
      } catch (error) {
        udp?.close();
        const taken = (error as NodeJS.ErrnoException).code === "EADDRINUSE";
        if (!taken || port !== 0 || attempt === ANY_PORT_ATTEMPTS)
          throw endpointProblem(address, port, error);
      }
    }
  }

  /** Stops listening; TCP queries that are being answered end with their connections. */
  close(): void {
    this.udp.close();
    this.tcp.close();
  }
}

function openUdp(address: string, port: number, responder: Responder): Promise<UdpSocket> {
  return new Promise((resolve, reject) => {
    const socket = createSocket({
      type: isIPv6(address) ? "udp6" : "udp4",
      // Answers go to the address that the query came from: there is nothing to look up.
      lookup: (host, _options, found) => found(null, host, isIPv6(host) ? 6 : 4),
    });
    socket.once("error", reject);
    socket.bind({ port, address, exclusive: true }, () => {
      socket.removeListener("error", reject);
      socket.on("error", () => undefined);
      try {
        socket.setRecvBufferSize(UDP_BUFFER_BYTES);
      } catch {
        // The system allows less; bursts are then dropped earlier, and resolvers ask again.
      }
      socket.on("message", (query, from) => {
        const answer = responder.respond(query, "udp");
        if (answer !== undefined && from.port !== 0)
          socket.send(answer, from.port, from.address, () => undefined);
      });
      resolve(socket);
    });
  });
}

function endpointProblem(address: string, port: number, error: unknown): Error {
  const place = `${address}:${port}`;
  const { code } = error as NodeJS.ErrnoException;
  if (code === "EADDRINUSE") {
    return controlProblem("port-taken", {
      place,
      problem: `port ${port} of ${address} is taken by another program`,
      mend: "Choose another port for the name server, or end what listens there.",
    });
  }
  return controlProblem("invalid", {
    place,
    problem: `the name server cannot listen on ${place}: ${messageOf(error)}`,
    mend:
      code === "EACCES"
        ? "Choose a port above 1023, or let the agent's user bind low ports."
        : "Choose an address of this machine.",
  });
}
