import type { Socket } from "node:net";
import type { Responder } from "./responder";

/** A connection that asks nothing for so long is closed (RFC 7766, 6.2.3 leaves the time to the server). */
const IDLE_MS = 10_000;
/** A client that asks but does not read its answers is cut off. */
const MAX_UNREAD_BYTES = 1024 * 1024;

/** Answers queries on one TCP connection: each with two bytes of length before it, as many as come (RFC 7766). */
export function serveTcp(socket: Socket, responder: Responder): void {
  let waiting: Buffer = Buffer.alloc(0);
  socket.setTimeout(IDLE_MS, () => socket.destroy());
  socket.on("error", () => socket.destroy());
  socket.on("end", () => socket.end());
  socket.on("data", (chunk: Buffer) => {
    waiting = waiting.length === 0 ? chunk : Buffer.concat([waiting, chunk]);
    let offset = 0;
    const out: Buffer[] = [];
    while (waiting.length - offset >= 2) {
      const length = waiting.readUInt16BE(offset);
      if (waiting.length - offset < 2 + length) break;
      const answer = responder.respond(waiting.subarray(offset + 2, offset + 2 + length), "tcp");
      offset += 2 + length;
      // Not a query: whoever speaks here does not speak DNS.
      if (answer === undefined) return void socket.destroy();
      out.push(lengthOf(answer), answer);
    }
    waiting = waiting.subarray(offset);
    if (out.length > 0) socket.write(Buffer.concat(out));
    if (socket.writableLength > MAX_UNREAD_BYTES) socket.destroy();
  });
}

function lengthOf(answer: Buffer): Buffer {
  const length = Buffer.allocUnsafe(2);
  length.writeUInt16BE(answer.length);
  return length;
}
