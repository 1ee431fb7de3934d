import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { connect, isIPv6 } from "node:net";
import { decode, encode, type DecodedPacket, type Packet } from "dns-packet";
import { formatHostPort, type HostPort } from "./address";

const TRIES = 3;

/** A DNS server did not answer. */
export class NoAnswer extends Error {
  override readonly name = "NoAnswer";
}

/** A question for one name and type. */
export interface Question {
  readonly name: string;
  readonly type: "A" | "AAAA" | "CNAME" | "TXT" | "SOA" | "PTR";
  /** `CH`: what servers tell of themselves. @default "IN" */
  readonly klass?: "IN" | "CH";
  /** Ask over TCP from the start: an answer that must not be forged, or is long. @default UDP first */
  readonly tcp?: boolean;
  /** All tries together. @default 2000 */
  readonly timeoutMs?: number;
}

/** An answer, with the code that {@link rcodeOf} reads. */
export type DnsAnswer = DecodedPacket;

/**
 * Asks one server directly, no resolver between: UDP with three tries, TCP when the answer is cut short.
 * @throws NoAnswer
 */
export async function ask(server: HostPort, question: Question): Promise<DnsAnswer> {
  const timeoutMs = question.timeoutMs ?? 2_000;
  const packet: Packet = {
    type: "query",
    id: randomInt(65_536),
    questions: [{ type: question.type, name: question.name, class: question.klass ?? "IN" }],
    additionals: [
      {
        type: "OPT",
        name: ".",
        udpPayloadSize: 1_232,
        extendedRcode: 0,
        ednsVersion: 0,
        flags: 0,
        flag_do: false,
        options: [],
      },
    ],
  };
  const message = encode(packet);
  if (!question.tcp) {
    const answer = read(server, await askUdp(server, message, timeoutMs));
    if (!answer.flag_tc) return answer;
  }
  return read(server, await exchangeTcp(server, message, timeoutMs));
}

function read(server: HostPort, message: Buffer): DnsAnswer {
  try {
    return decode(message);
  } catch (error) {
    throw new NoAnswer(`${formatHostPort(server)}: its answer cannot be read: ${String(error)}`);
  }
}

/** The response code of an answer: 0 no error, 3 no such name, … (RFC 1035, 4.1.1). */
export function rcodeOf(message: Buffer | DnsAnswer): number {
  return (Buffer.isBuffer(message) ? message.readUInt16BE(2) : (message.flags ?? 0)) & 0xf;
}

function askUdp(server: HostPort, message: Buffer, timeoutMs: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(server.host) ? "udp6" : "udp4");
    const timers: NodeJS.Timeout[] = [];
    const settle = (act: () => void) => {
      for (const timer of timers) clearTimeout(timer);
      timers.length = 0;
      socket.removeAllListeners();
      socket.on("error", () => undefined);
      socket.close();
      act();
    };
    const fail = (why: string) => settle(() => reject(new NoAnswer(`${formatHostPort(server)}: ${why}`)));
    socket.on("error", (error: NodeJS.ErrnoException) => fail(error.code ?? error.message));
    socket.on("message", (answer) => {
      // Anyone may send here: only what answers this very question counts.
      if (
        answer.length >= 12 &&
        answer.readUInt16BE(0) === message.readUInt16BE(0) &&
        (answer[2] & 0x80) !== 0
      )
        settle(() => resolve(answer));
    });
    socket.connect(server.port, server.host, () => {
      const send = () => socket.send(message, () => undefined);
      send();
      for (let again = 1; again < TRIES; again += 1)
        timers.push(setTimeout(send, (again * timeoutMs) / TRIES));
      timers.push(setTimeout(() => fail(`no answer within ${timeoutMs} ms`), timeoutMs));
    });
  });
}

/** Sends one message over a TCP connection of its own and returns the one that comes back. @throws NoAnswer */
export function exchangeTcp(server: HostPort, message: Buffer, timeoutMs: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect(server.port, server.host);
    const length = Buffer.alloc(2);
    length.writeUInt16BE(message.length);
    let received = Buffer.alloc(0);
    const settle = (act: () => void) => {
      clearTimeout(timer);
      socket.destroy();
      act();
    };
    const fail = (why: string) => settle(() => reject(new NoAnswer(`${formatHostPort(server)}: ${why}`)));
    const timer = setTimeout(() => fail(`no answer within ${timeoutMs} ms`), timeoutMs);
    socket.on("error", (error: NodeJS.ErrnoException) => fail(error.code ?? error.message));
    socket.on("end", () => fail("the connection was closed before the answer came"));
    socket.on("data", (chunk) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
      const answer = received.subarray(2, 2 + received.readUInt16BE(0));
      if (answer.length < 12 || answer.readUInt16BE(0) !== message.readUInt16BE(0))
        return fail("not an answer to the question");
      settle(() => resolve(answer));
    });
    socket.write(Buffer.concat([length, message]));
  });
}
