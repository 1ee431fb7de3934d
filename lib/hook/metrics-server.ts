import * as http from "node:http";
import type { AddressInfo } from "node:net";
import { messageOf, SpillwayError } from "../errors";
import { METRICS_TYPE } from "../metrics";

export interface MetricsServer {
  /** `http://127.0.0.1:9700/metrics` */
  readonly endpoint: string;
  close(): Promise<void>;
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
    const here = new URL(request.url ?? "/", "http://hook").pathname === "/metrics";
    const status = !here ? 404 : request.method === "GET" || request.method === "HEAD" ? 200 : 405;
    const body = status === 200 ? text() : "Metrics are at GET /metrics.\n";
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
