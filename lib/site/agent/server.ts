import { readFileSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import * as http from "node:http";
import * as https from "node:https";
import { type AddressInfo, isIP } from "node:net";
import { pipeline } from "node:stream/promises";
import { createSecureContext } from "node:tls";
import { SpillwayError, messageOf } from "../../errors";
import { AgentError, problemOf } from "./problems";
import { BodyRoom, announcedBytes, parseJson } from "./request-body";
import type { Answer, Router } from "./router";
import type { TokenCheck } from "./token";

/** A small request is read whole within that, whatever its sender does. */
const SMALL_REQUEST_MS = 15_000;
/** The longest a request may take to arrive: a segment at a low pace over a slow link. */
const REQUEST_MS = 30 * 60_000;
const OLDEST_TLS = "TLSv1.2";

export interface ListenOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
}

/** PEM files. */
export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

export interface ServerOptions {
  readonly listen: ListenOptions;
  readonly tls?: TlsFiles;
  readonly token: TokenCheck;
  /** Requests that come before it is there wait for it. */
  readonly router: Router | Promise<Router>;
  readonly log: (line: string) => void;
  /** A body that brings nothing for so long is given up. @default 60000 */
  readonly silenceMs?: number;
  /** While others wait for its room, a body may take so long for each 64 KiB of it. @default 20000 */
  readonly slowBodyMs?: number;
}

/** The agent's HTTP server. */
export class AgentServer {
  private readonly bodies: BodyRoom;

  private constructor(
    private readonly options: ServerOptions,
    private readonly server: http.Server,
  ) {
    this.bodies = new BodyRoom({ log: options.log, slowMs: options.slowBodyMs });
  }

  /** @throws SpillwayError when it cannot, or should not, listen there */
  static async listen(options: ServerOptions): Promise<AgentServer> {
    const { listen, tls } = options;
    AgentServer.check(options);
    const settings: http.ServerOptions = {
      requestTimeout: REQUEST_MS,
      headersTimeout: 10_000,
      keepAliveTimeout: 60_000,
      connectionsCheckingInterval: 5_000,
    };
    const server = tls
      ? https.createServer({ ...settings, ...readTls(tls), minVersion: OLDEST_TLS })
      : http.createServer(settings);
    const self = new AgentServer(options, server);
    server.on("request", (request, response) => void self.serve(request, response));
    server.on("checkContinue", (request, response) => void self.serve(request, response));
    await bind(server, listen);
    return self;
  }

  /** Finds what keeps it from listening before anything was done. @throws SpillwayError */
  static check({ listen, tls }: Pick<ServerOptions, "listen" | "tls">): void {
    mustBeSafe(listen, tls !== undefined);
    if (tls) mustFit(tls);
  }

  /** `http://127.0.0.1:7501` */
  get endpoint(): string {
    const { port } = this.server.address() as AddressInfo;
    const { host } = this.options.listen;
    return `${this.options.tls ? "https" : "http"}://${host.includes(":") ? `[${host}]` : host}:${port}`;
  }

  /** Takes no more requests, answers those that are here, and closes. Idempotent. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.server.closeIdleConnections();
    const hard = setTimeout(() => this.server.closeAllConnections(), 2_000);
    await closed;
    clearTimeout(hard);
  }

  private async serve(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const method = request.method ?? "GET";
    const place = `${method} ${(request.url ?? "/").split("?")[0]}`;
    let answer: Answer | { readonly status: number; readonly body: unknown };
    let file: FileHandle | undefined;
    try {
      answer = await this.answer(method, request, response);
      if ("file" in answer && answer.file !== undefined) file = await open(answer.file, "r");
    } catch (error) {
      answer = problemOf(error, place);
      // Nobody is left to be told, and nothing to be mended: the sender went away. A part that is away was told of when it went.
      const isTold = error instanceof AgentError && error.code === "part-unavailable";
      if (answer.status >= 500 && !response.destroyed && !isTold)
        this.options.log(`${place}: ${answer.status} ${messageOf(error)}`);
    }
    if (!file) return send(request, response, answer);
    // A receiver that goes away in between is no news.
    await sendFile(response, file).catch(() => response.destroy());
  }

  private async answer(
    method: string,
    request: http.IncomingMessage,
    response: http.ServerResponse,
  ): Promise<Answer> {
    const url = new URL(request.url ?? "/", "http://agent");
    const authorized = this.options.token.allows(request.headers.authorization);
    if (!authorized && url.pathname !== "/v1/health") throw unauthorized();
    const { route, path } = (await this.options.router).find(method, url.pathname);
    if (!route.open && !authorized) throw unauthorized();
    const announced = announcedBytes(request, route);
    const unwanted = new AbortController();
    response.once("close", () => unwanted.abort());
    const claim = {
      ...{ bytes: announced, signal: unwanted.signal },
      ...{ place: `${method} ${url.pathname}`, party: route.party === undefined ? "" : path[route.party] },
    };
    return this.bodies.hold(request, claim, async (grant) => {
      if (request.headers.expect !== undefined) response.writeContinue();
      const isSmall = announced <= 64 * 1024 && typeof route.takes !== "object";
      const slow = isSmall ? setTimeout(() => request.destroy(), SMALL_REQUEST_MS) : undefined;
      // Only while the body comes: verifying a large image answers nothing for minutes.
      const { socket } = request;
      socket.setTimeout(this.options.silenceMs ?? 60_000);
      const body = await this.bodies.read(request, route, announced, grant).finally(() => {
        clearTimeout(slow);
        socket.setTimeout(0);
      });
      try {
        const json = route.takes === "json" ? parseJson(body.bytes, route) : undefined;
        const { searchParams: query } = url;
        return await route.handle({ path, query, json, bytes: body.bytes, signal: unwanted.signal });
      } finally {
        body.release();
      }
    });
  }
}

async function sendFile(response: http.ServerResponse, file: FileHandle): Promise<void> {
  const { size } = await file.stat();
  response.writeHead(200, {
    "cache-control": "no-store",
    "content-type": "application/octet-stream",
    "content-length": size,
  });
  await pipeline(file.createReadStream(), response);
}

function send(
  request: http.IncomingMessage,
  response: http.ServerResponse,
  answer: Pick<Answer, "body" | "text"> & { readonly status: number },
): void {
  if (response.destroyed) return;
  const text = answer.text?.body ?? (answer.body === undefined ? "" : JSON.stringify(answer.body));
  const headers: http.OutgoingHttpHeaders = { "cache-control": "no-store" };
  if (answer.status !== 204) {
    headers["content-type"] = answer.text?.type ?? "application/json";
    headers["content-length"] = Buffer.byteLength(text);
  }
  if (answer.status === 401) headers["www-authenticate"] = "Bearer";
  // What was refused unread would otherwise be read to its end to keep the connection.
  if (!request.complete) headers.connection = "close";
  response.writeHead(answer.status, headers);
  response.end(text);
}

function unauthorized(): AgentError {
  return new AgentError("unauthorized", {
    place: "Authorization",
    problem: "the request carries no token, or not this agent's",
    mend: "Send `Authorization: Bearer TOKEN` with the token that the agent was started with.",
  });
}

function mustBeSafe({ host, port }: ListenOptions, tls: boolean): void {
  const loopback = host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
  if (loopback || tls) return;
  throw new SpillwayError({
    place: `${host}:${port}`,
    problem: `the agent would send its token unencrypted: ${host} is no loopback address`,
    mend: "Give it a certificate and a key (--tls-cert, --tls-key), or let it listen on 127.0.0.1.",
  });
}

function mustFit(files: TlsFiles): void {
  const pair = readTls(files);
  try {
    createSecureContext({ ...pair, minVersion: OLDEST_TLS });
  } catch (error) {
    throw new SpillwayError(
      {
        place: `${files.certFile}, ${files.keyFile}`,
        problem: `the certificate and its key cannot be used: ${messageOf(error)}`,
        mend: "Give a certificate and the private key that belongs to it, both as PEM.",
      },
      { cause: error },
    );
  }
}

function readTls({ certFile, keyFile }: TlsFiles): { cert: Buffer; key: Buffer } {
  const read = (path: string, what: string) => {
    try {
      return readFileSync(path);
    } catch (error) {
      throw new SpillwayError({
        place: path,
        problem: `the ${what} cannot be read: ${messageOf(error)}`,
        mend: "Give the path of a PEM file that the agent may read.",
      });
    }
  };
  return { cert: read(certFile, "certificate"), key: read(keyFile, "key") };
}

function bind(server: http.Server, { host, port }: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const problem =
        error.code === "EADDRINUSE"
          ? `another process listens at ${host}:${port} already`
          : `the agent cannot listen at ${host}:${port}: ${messageOf(error)}`;
      reject(
        new SpillwayError(
          {
            place: `${host}:${port}`,
            problem,
            mend: "Stop that process, or choose another address or port.",
          },
          { cause: error },
        ),
      );
    });
    server.listen({ host, port, exclusive: true }, resolve);
  });
}
