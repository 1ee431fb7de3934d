import { connect } from "node:net";

const HEAD_END = Buffer.from("\r\n\r\n");

/** One connection; one request at a time. Raw, for a load generator must cost little beside what it measures. */
export class HttpConnection {
  #socket;
  #waiting;
  #held = Buffer.alloc(0);
  #got = false;
  open = true;
  used = 0;

  constructor(address, port, localAddress) {
    this.#socket = connect({ host: address, port, localAddress, noDelay: true });
    this.#socket.on("data", (chunk) => this.#read(chunk));
    this.#socket.on("error", (error) => this.#lost(error.code ?? error.message));
    this.#socket.on("end", () => this.#lost("closed"));
    this.#socket.on("close", () => this.#lost("closed"));
  }

  /** @returns {Promise<{status: number, site: string, cookies: string[], closes: boolean}>} @throws {{reason, mayResend}} */
  send(head, timeoutMs) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#fail({ reason: "timed out", mayResend: false });
        this.close();
      }, timeoutMs);
      this.#waiting = { resolve, reject, timer };
      this.#got = false;
      this.used += 1;
      this.#socket.write(head);
    });
  }

  close() {
    this.open = false;
    this.#socket.destroy();
  }

  #read(chunk) {
    this.#got = true;
    this.#held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    const end = this.#held.indexOf(HEAD_END);
    if (end < 0) return;
    const head = this.#held.latin1Slice(0, end);
    const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
    if (this.#held.length < end + 4 + length) return;
    this.#held = this.#held.subarray(end + 4 + length);
    const answer = {
      status: Number(head.slice(9, 12)),
      site: /^x-site: *(\S+)/im.exec(head)?.[1] ?? "",
      cookies: [...head.matchAll(/^set-cookie: *([^\r]*)/gim)].map(([, cookie]) => cookie),
      closes: /^connection: *close/im.test(head),
    };
    if (answer.closes) this.close();
    this.#settle()?.resolve(answer);
  }

  #lost(reason) {
    this.open = false;
    // RFC 9110 9.2.2: a GET on a kept connection that ended before any byte of the answer may be sent again.
    this.#fail({ reason, mayResend: this.used > 1 && !this.#got });
    this.#socket.destroy();
  }

  #fail(problem) {
    this.#settle()?.reject(problem);
  }

  #settle() {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting) clearTimeout(waiting.timer);
    return waiting;
  }
}

/** The cookies of one client, for one host: names, values, removals. */
export function cookieJar() {
  const kept = new Map();
  return {
    keep(lines) {
      for (const line of lines) {
        const [pair, ...attributes] = line.split(";").map((part) => part.trim());
        const cut = pair.indexOf("=");
        const isGone = attributes.some((one) => /^max-age=0$/i.test(one) || /^expires=.*\b1970\b/i.test(one));
        if (isGone) kept.delete(pair.slice(0, cut));
        else kept.set(pair.slice(0, cut), pair.slice(cut + 1));
      }
    },
    line: () => (kept.size === 0 ? "" : `Cookie: ${[...kept].map((pair) => pair.join("=")).join("; ")}\r\n`),
  };
}
