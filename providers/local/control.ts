import { chmodSync, rmSync } from "node:fs";
import { createServer, request, type IncomingMessage, type Server } from "node:http";
import { connect } from "node:net";
import type { ApiProblem } from "../../lib/site/api";
import { type ProblemReport, SpillwayError, messageOf } from "../../lib/errors";

/** What a control handler answers. Bodies are JSON; `undefined` is none. */
export interface ControlAnswer {
  readonly status: number;
  readonly body?: unknown;
}

/** One request to a control socket: method, path (decoded segments, without the empty first) and JSON body. */
export interface ControlRequest {
  readonly method: string;
  readonly path: readonly string[];
  readonly body: unknown;
}

const MAX_BODY_BYTES = 8 * 1024 * 1024;

/** A problem that a control handler throws to be answered as {@link ApiProblem}. */
export function controlProblem(code: ApiProblem["code"], report: ProblemReport): SpillwayError {
  return new SpillwayError(report, { cause: Object.assign(new Error(report.problem), { code }) });
}

/** The program-readable code of an error made by {@link controlProblem}, here or at the other end. */
export function problemCode(error: unknown): string | undefined {
  if (!(error instanceof SpillwayError)) return undefined;
  const cause = error.cause;
  return typeof cause === "object" && cause !== null && "code" in cause ? String(cause.code) : undefined;
}

/**
 * Serves control requests on a unix socket that only this user can open.
 * @returns undefined when another process answers on that socket already
 */
export async function serveControl(
  socketPath: string,
  handle: (request: ControlRequest) => Promise<ControlAnswer>,
): Promise<Server | undefined> {
  const server = createServer((incoming, outgoing) => {
    void answer(incoming, handle).then(({ status, body }) => {
      const text = body === undefined ? "" : JSON.stringify(body);
      outgoing.writeHead(status, {
        "content-type": "application/json",
        "content-length": Buffer.byteLength(text),
        connection: "close",
      });
      outgoing.end(text);
    });
  });
  try {
    await listen(server, socketPath);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    if (await someoneAnswers(socketPath)) return undefined;
    rmSync(socketPath, { force: true });
    await listen(server, socketPath);
  }
  return server;
}

function listen(server: Server, socketPath: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    // The socket must never be open to others, not even between listen and chmod.
    const before = process.umask(0o177);
    try {
      server.listen(socketPath, () => {
        server.removeListener("error", reject);
        chmodSync(socketPath, 0o600);
        resolve();
      });
    } finally {
      process.umask(before);
    }
  });
}

function someoneAnswers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

async function answer(
  incoming: IncomingMessage,
  handle: (request: ControlRequest) => Promise<ControlAnswer>,
): Promise<ControlAnswer> {
  try {
    const path = (incoming.url ?? "/").split("?")[0].split("/").slice(1).map(decodeURIComponent);
    return await handle({ method: incoming.method ?? "GET", path, body: await readJson(incoming) });
  } catch (error) {
    return { status: problemCode(error) === "port-taken" ? 409 : 422, body: problemOf(error) };
  }
}

function problemOf(error: unknown): ApiProblem {
  if (error instanceof SpillwayError) {
    const code = (problemCode(error) ?? "internal") as ApiProblem["code"];
    return { code, ...error.report };
  }
  return {
    code: "internal",
    place: "control socket",
    problem: messageOf(error),
    mend: "See the process's log file.",
  };
}

/** Thrown when nobody answers at a control socket: the process behind it is gone, or hangs. */
export class NobodyAnswers extends Error {
  override readonly name: string = "NobodyAnswers";
}

/** The process took the question, and did not answer in time: it hangs, or is very busy. */
export class Silence extends NobodyAnswers {
  override readonly name = "Silence";
}

/**
 * Asks a control socket. Answers of 404 give an undefined body.
 * @throws NobodyAnswers when there is no process, or no answer in time
 * @throws SpillwayError as the other end made it
 */
export async function askControl<T>(
  socketPath: string,
  method: string,
  path: readonly string[],
  options: { readonly body?: unknown; readonly timeoutMs: number },
): Promise<T | undefined> {
  const text = options.body === undefined ? undefined : JSON.stringify(options.body);
  const { status, body } = await new Promise<ControlAnswer>((resolve, reject) => {
    const asked = request(
      {
        socketPath,
        method,
        path: `/${path.map(encodeURIComponent).join("/")}`,
        agent: false,
        headers:
          text === undefined
            ? {}
            : { "content-type": "application/json", "content-length": Buffer.byteLength(text) },
      },
      (incoming) => {
        readJson(incoming).then(
          (json) => resolve({ status: incoming.statusCode ?? 0, body: json }),
          (error) => reject(new NobodyAnswers(messageOf(error), { cause: error })),
        );
      },
    );
    const late = () => {
      reject(new Silence(`no answer within ${options.timeoutMs} ms`));
      asked.destroy();
    };
    // This process may itself be late: an answer that is already here is read before it counts as missing.
    const timer = setTimeout(() => setImmediate(late), options.timeoutMs);
    asked.on("close", () => clearTimeout(timer));
    asked.on("error", (error) => reject(new NobodyAnswers(error.message, { cause: error })));
    asked.end(text);
  });
  if (status === 404) return undefined;
  if (status === 503) throw new NobodyAnswers("it is still starting");
  if (status >= 400) {
    const { code, place, problem, mend } = body as ApiProblem;
    throw controlProblem(code, { place, problem, mend });
  }
  return body as T;
}

async function readJson(incoming: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw new Error(`more than ${MAX_BODY_BYTES} bytes`);
    chunks.push(chunk);
  }
  return bytes === 0 ? undefined : (JSON.parse(Buffer.concat(chunks).toString("utf8")) as unknown);
}
