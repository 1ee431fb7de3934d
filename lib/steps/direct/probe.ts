import * as http from "node:http";
import * as https from "node:https";
import * as net from "node:net";
import type { MonitorSpec } from "../../site/api";

/** The header that tells a balancer, by its pool's key, that a request is a gate's: nobody's user, counted nowhere. */
export const PROBE_HEADER = "x-spillway-probe";

/** What one probe saw. */
export type ProbeAnswer = { readonly good: true } | { readonly good: false; readonly problem: string };

/** Where a monitor asks when it is not a pool's plain address. */
export interface ProbedEndpoint {
  readonly address: string;
  readonly port: number;
  /** @default false */
  readonly tls?: boolean;
  /** What comes before the monitor's path. @default - nothing */
  readonly basePath?: string;
}

/** Reads `host:port`, or a URL. Undefined if it is neither. */
export function parseProbedEndpoint(text: string): ProbedEndpoint | undefined {
  try {
    const url = new URL(/^[a-z]+:\/\//i.test(text) ? text : `http://${text}`);
    if (url.protocol !== "http:" && url.protocol !== "https:") return undefined;
    if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") return undefined;
    if (url.hostname === "") return undefined;
    const tls = url.protocol === "https:";
    return {
      address: url.hostname.replace(/^\[|\]$/g, ""),
      port: url.port === "" ? (tls ? 443 : 80) : Number(url.port),
      tls,
      basePath: url.pathname.replace(/\/+$/, ""),
    };
  } catch {
    return undefined;
  }
}

/** Asks an endpoint once, from here, as a monitor. Never throws. */
export function probeEndpoint(endpoint: ProbedEndpoint, monitor: MonitorSpec): Promise<ProbeAnswer> {
  if (monitor.type === "tcp") return probeTcp(endpoint.address, endpoint.port, monitor);
  return probeHttp(endpoint, monitor);
}

/** Asks a pool's address once, from here, as a monitor. `key`: the pool's, so that it is counted as nobody. Never throws. */
export function probe(
  address: string,
  port: number,
  monitor: MonitorSpec,
  key: string | undefined,
): Promise<ProbeAnswer> {
  if (monitor.type === "tcp") return probeTcp(address, port, monitor);
  return probeHttp({ address, port }, monitor, key);
}

function probeHttp(endpoint: ProbedEndpoint, monitor: MonitorSpec, key = "1"): Promise<ProbeAnswer> {
  const path = `${endpoint.basePath ?? ""}${monitor.path}`;
  return new Promise((resolve) => {
    const say = (problem?: string) => {
      clearTimeout(timer);
      resolve(problem === undefined ? { good: true } : { good: false, problem });
      request.destroy();
    };
    const get = endpoint.tls === true ? https.get : http.get;
    const request = get(
      {
        host: endpoint.address,
        port: endpoint.port,
        path,
        agent: false,
        // Users' name is not directed there yet, so the certificate cannot fit; a monitor of a balancer does not look at it either.
        ...(endpoint.tls === true ? { rejectUnauthorized: false } : {}),
        headers: { "user-agent": "spillway-gate", [PROBE_HEADER]: key, connection: "close" },
      },
      (response) => {
        const { statusCode } = response;
        // The whole answer must come: one that breaks off is not good.
        response.on("error", (error) => say(error.message));
        response.on("end", () =>
          say(
            statusCode === monitor.expectStatus
              ? undefined
              : `status ${statusCode} instead of ${monitor.expectStatus} for ${path}`,
          ),
        );
        response.resume();
      },
    );
    const timer = setTimeout(() => say(`no answer within ${monitor.timeoutMs} ms`), monitor.timeoutMs);
    request.on("error", (error: NodeJS.ErrnoException) => say(error.code ?? error.message));
  });
}

function probeTcp(address: string, port: number, monitor: MonitorSpec): Promise<ProbeAnswer> {
  return new Promise((resolve) => {
    const socket = net.connect({ host: address, port });
    const say = (problem?: string) => {
      clearTimeout(timer);
      resolve(problem === undefined ? { good: true } : { good: false, problem });
      socket.destroy();
    };
    const timer = setTimeout(() => say(`no connection within ${monitor.timeoutMs} ms`), monitor.timeoutMs);
    socket.once("connect", () => say());
    socket.once("error", (error: NodeJS.ErrnoException) => say(error.code ?? error.message));
  });
}
