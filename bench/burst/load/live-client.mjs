import { randomBytes } from "node:crypto";
import { connect } from "node:net";

const OPEN_MS = 10_000;

/**
 * A user's WebSocket: opened by name for a visit of some seconds, closed with a closing handshake, opened anew by the next message. A
 * server that says goodbye (a close frame) is left in order; a connection that ends otherwise has failed, and with it what was unanswered.
 */
export class LiveClient {
  #socket;
  #opening;
  #visitEndsAt = 0;

  /** @param {{resolve, port, host, timeoutMs, visitMs: () => number, localAddress}} options */
  constructor(options) {
    this.options = options;
  }

  /** Sends a message and waits for its echo. @returns {Promise<{ok, site, reason?, resent: false, address}>} never rejects */
  async request() {
    let socket = this.#socket;
    try {
      if (socket !== undefined && performance.now() > this.#visitEndsAt && socket.waiting.length === 0) {
        this.#leave();
        socket = undefined;
      }
      if (socket === undefined) {
        this.#opening ??= this.#open().finally(() => (this.#opening = undefined));
        socket = await this.#opening;
      }
      await this.#echo(socket);
      return { ok: true, site: socket.site, resent: false, address: socket.address };
    } catch (problem) {
      return {
        ok: false,
        site: "",
        reason: `WebSocket: ${problem.message}`,
        resent: false,
        address: socket?.address,
      };
    }
  }

  close() {
    this.#socket?.destroy();
  }

  #echo(socket) {
    if (socket.destroyed) return Promise.reject(new Error("closed"));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error("timed out"));
        socket.destroy();
      }, this.options.timeoutMs);
      socket.waiting.push({
        resolve: () => (clearTimeout(timer), resolve()),
        reject: (error) => (clearTimeout(timer), reject(error)),
      });
      socket.write(frame(1, "how are you?"));
    });
  }

  #leave() {
    const socket = this.#socket;
    this.#socket = undefined;
    socket.write(frame(8, ""));
    socket.end();
    setTimeout(() => socket.destroy(), OPEN_MS).unref();
  }

  async #open() {
    const { host, port, resolve, localAddress, visitMs } = this.options;
    const address = await resolve();
    const socket = connect({ host: address, port, localAddress, noDelay: true });
    socket.address = address;
    /** Messages without their echo yet. */
    socket.waiting = [];
    const key = randomBytes(16).toString("base64");
    socket.write(
      `GET /live HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
    );
    await new Promise((opened, reject) => {
      const timer = setTimeout(() => {
        reject(new Error("not opened in time"));
        socket.destroy();
      }, OPEN_MS);
      let held = Buffer.alloc(0);
      const read = (chunk) => {
        held = Buffer.concat([held, chunk]);
        const end = held.indexOf("\r\n\r\n");
        if (end < 0) return;
        clearTimeout(timer);
        socket.off("data", read);
        const head = held.latin1Slice(0, end);
        if (!head.startsWith("HTTP/1.1 101")) {
          reject(new Error(`status ${head.slice(9, 12)}`));
          return socket.destroy();
        }
        socket.site = /^x-site: *(\S+)/im.exec(head)?.[1] ?? "";
        this.#follow(socket, held.subarray(end + 4));
        opened();
      };
      socket.on("data", read);
      socket.on("error", (error) => (clearTimeout(timer), reject(new Error(error.code ?? error.message))));
      socket.on("close", () => (clearTimeout(timer), reject(new Error("closed while opening"))));
    });
    this.#visitEndsAt = performance.now() + visitMs();
    this.#socket = socket;
    return socket;
  }

  /** Echoes come in order; the server's frames are unmasked and short. */
  #follow(socket, first) {
    let held = first;
    const take = () => {
      while (held.length >= 2 && held.length >= 2 + held[1]) {
        const opcode = held[0] & 0x0f;
        held = held.subarray(2 + held[1]);
        if (opcode === 8) {
          if (this.#socket === socket) this.#leave();
        } else socket.waiting.shift()?.resolve();
      }
    };
    socket.on("data", (chunk) => {
      held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
      take();
    });
    socket.on("close", () => {
      if (this.#socket === socket) this.#socket = undefined;
      for (const waiting of socket.waiting.splice(0)) waiting.reject(new Error("cut off"));
    });
    take();
  }
}

function frame(opcode, text) {
  const mask = randomBytes(4);
  const payload = Buffer.from(text).map((byte, at) => byte ^ mask[at % 4]);
  return Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | payload.length]), mask, payload]);
}
