import { cookieJar, HttpConnection } from "./http-client.mjs";

/**
 * One user: a DNS cache, a cookie jar, and one kept connection or none. A request that comes while the connection is busy waits for it,
 * and its time counts from when it was due. Nothing is tried twice but what RFC 9110 has every browser send again.
 */
export class Client {
  #connection;
  #queue = Promise.resolve();
  #jar = cookieJar();

  /** @param {{resolve, port, host, keepAlive, timeoutMs, localAddress}} options */
  constructor(options) {
    this.options = options;
  }

  /** @returns {Promise<{ok: boolean, site: string, reason?: string, resent: boolean, address?: string}>} never rejects */
  request() {
    if (!this.options.keepAlive) return this.#exchange();
    const turn = this.#queue.then(() => this.#exchange());
    this.#queue = turn;
    return turn;
  }

  close() {
    this.#connection?.close();
  }

  async #exchange() {
    const seen = { resent: false, address: undefined };
    try {
      const answer = await this.#send(seen).catch((problem) => {
        if (!problem.mayResend) throw problem;
        seen.resent = true;
        return this.#send(seen);
      });
      this.#jar.keep(answer.cookies);
      if (answer.status !== 200) throw { reason: `status ${answer.status}` };
      return { ok: true, site: answer.site, ...seen };
    } catch (problem) {
      return { ok: false, site: "", reason: problem.reason ?? problem.message, ...seen };
    }
  }

  async #send(seen) {
    const { host, keepAlive, port, resolve, timeoutMs, localAddress } = this.options;
    let connection = keepAlive ? this.#connection : undefined;
    if (!connection?.open) {
      const address = await resolve();
      connection = new HttpConnection(address, port, localAddress);
      connection.address = address;
      if (keepAlive) this.#connection = connection;
    }
    seen.address = connection.address;
    const closing = keepAlive ? "" : "Connection: close\r\n";
    const answer = await connection.send(
      `GET / HTTP/1.1\r\nHost: ${host}\r\n${this.#jar.line()}${closing}\r\n`,
      timeoutMs,
    );
    if (!keepAlive) connection.close();
    return answer;
  }
}
