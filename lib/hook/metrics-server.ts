import * as http from "node:http";
import type { AddressInfo } from "node:net";
import { messageOf, SpillwayError } from "../errors";
import { METRICS_TYPE } from "../metrics";

export interface MetricsServer {
  /** `http://127.0.0.1:9700/metrics` */
  readonly endpoint: string;
  close(): Promise<void>;
}

const NOT_HERE = { status: 404, body: "Metrics are at GET /metrics.\n" };

/** Whatever goes wrong with the figures, the hook goes on. */
function answer(isRead: boolean, text: () => string): { readonly status: number; readonly body: string } {
  if (!isRead) return { ...NOT_HERE, status: 405 };
  try {
    return { status: 200, body: text() };
  } catch (error) {
    return { status: 500, body: `${messageOf(error)}\n` };
  }
}

/**
 * Answers `GET /metrics` with what `text` says then. Read only, for anyone who reaches the address: no token, no secrets.
 * @throws SpillwayError when it cannot listen there
 */
export async function serveMetrics(
  listen: { readonly host: string; readonly port: number },
  text: () => string,
): Promise<MetricsServer> {
  const server = http.createServer((request, response) => {
    const [path] = (request.url ?? "/").split("?");
    const isRead = request.method === "GET" || request.method === "HEAD";
    const { status, body } = path === "/metrics" ? answer(isRead, text) : NOT_HERE;
    response.writeHead(status, { "content-type": status === 200 ? METRICS_TYPE : "text/plain" });
    response.end(request.method === "HEAD" ? undefined : body);
  });
  server.headersTimeout = 10_000;
  server.requestTimeout = 10_000;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: listen.host, port: listen.port }, resolve);
  }).catch((error: unknown) => {
    throw new SpillwayError({
      place: `${listen.host}:${listen.port}`,
      problem: `the metrics cannot be served there: ${messageOf(error)}`,
      mend: "Give `--metrics` another address or port.",
    });
  });
  const { port } = server.address() as AddressInfo;
  const host = listen.host.includes(":") ? `[${listen.host}]` : listen.host;
  return {
    endpoint: `http://${host}:${port}/metrics`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
