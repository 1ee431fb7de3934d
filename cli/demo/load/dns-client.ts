import { createSocket, type Socket } from "node:dgram";
import { randomInt } from "node:crypto";
import { decode, encode, type Answer } from "dns-packet";
import { SpillwayError, messageOf } from "../../../lib/errors";

export interface AddressAnswer {
  readonly address: string;
  readonly ttlSeconds: number;
}

interface Pending {
  readonly name: string;
  readonly settle: (result: AddressAnswer | Error) => void;
}

const TRIES = 3;
const TRY_MS = 1_000;

/** Asks one name server for A records over UDP, three times a second apart before it gives up. */
export class DnsClient {
  private readonly pending = new Map<number, Pending>();

  private constructor(
    private readonly socket: Socket,
    private readonly address: string,
    private readonly port: number,
  ) {
    socket.on("message", (message, from) => {
      if (from.address === address && from.port === port) this.receive(message);
    });
    // A name server that is away shows as ECONNREFUSED on some systems; the tries' own time-outs deal with it.
    socket.on("error", () => undefined);
  }

  /**
   * @param endpoint `address:port`, IPv4
   * @throws SpillwayError if it is not
   */
  static async open(endpoint: string): Promise<DnsClient> {
    const [, address, port] = /^(\d+\.\d+\.\d+\.\d+):(\d+)$/.exec(endpoint) ?? [];
    if (address === undefined || Number(port) < 1 || Number(port) > 65_535) {
      throw new SpillwayError({
        place: "nameServer",
        problem: `the name server must be an IPv4 address and a port, got "${endpoint}"`,
        mend: "Write it as 127.0.1.1:5353.",
      });
    }
    const socket = createSocket("udp4");
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.bind({ port: 0, address: address.startsWith("127.") ? "127.0.0.1" : undefined }, () => {
        socket.off("error", reject);
        resolve();
      });
    });
    return new DnsClient(socket, address, Number(port));
  }

  /**
   * The first address answered for `name`.
   * @throws Error if there is none, or no answer
   */
  async resolve(name: string): Promise<AddressAnswer> {
    for (let tried = 1; ; tried++) {
      const result = await this.ask(name);
      if (result !== undefined) return result;
      if (tried === TRIES) throw new Error(`no answer from the name server in ${TRIES} tries`);
    }
  }

  close(): void {
    for (const { settle } of this.pending.values()) settle(new Error("closed"));
    this.socket.close();
  }

  private ask(name: string): Promise<AddressAnswer | undefined> {
    return new Promise((resolve, reject) => {
      let id = randomInt(0x10000);
      while (this.pending.has(id)) id = (id + 1) % 0x10000;
      const timer = setTimeout(() => {
        this.pending.delete(id);
        resolve(undefined);
      }, TRY_MS);
      const settle = (result: AddressAnswer | Error) => {
        clearTimeout(timer);
        this.pending.delete(id);
        if (result instanceof Error) reject(result);
        else resolve(result);
      };
      this.pending.set(id, { name: name.toLowerCase(), settle });
      const query = encode({
        type: "query",
        id,
        flags: 0x100,
        questions: [{ type: "A", name, class: "IN" }],
      });
      this.socket.send(query, this.port, this.address, (error) => {
        if (error) settle(error);
      });
    });
  }

  private receive(message: Buffer): void {
    let packet;
    try {
      packet = decode(message);
    } catch {
      return;
    }
    const waiting = packet.type === "response" ? this.pending.get(packet.id ?? -1) : undefined;
    // Only an answer to the very question counts: ids alone may be guessed or old.
    if (!waiting || packet.questions?.[0]?.name.toLowerCase() !== waiting.name) return;
    try {
      waiting.settle(firstAddress(packet.answers ?? [], (packet as { rcode?: string }).rcode));
    } catch (error) {
      waiting.settle(new Error(messageOf(error)));
    }
  }
}

function firstAddress(answers: readonly Answer[], rcode: string | undefined): AddressAnswer | Error {
  for (const answer of answers) {
    if (answer.type === "A") return { address: answer.data, ttlSeconds: answer.ttl ?? 0 };
  }
  return new Error(`the name server answered ${rcode ?? "NOERROR"} with no address`);
}
