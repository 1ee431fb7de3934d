import * as http from "node:http";
import * as net from "node:net";
import type { MonitorSpec } from "../../site/api";

/** The header that tells a balancer, by its pool's key, that a request is a gate's: nobody's user, counted nowhere. */
export const PROBE_HEADER = "x-spillway-probe";

/** What one probe saw. */
export type ProbeAnswer = { readonly good: true } | { readonly good: false; readonly problem: string };

/** Asks a pool's address once, from here, as a monitor. `key`: the pool's, so that it is counted as nobody. Never throws. */
export function probe(
  address: string,
  port: number,
  monitor: MonitorSpec,
  key: string | undefined,
): Promise<ProbeAnswer> {
  return monitor.type === "tcp" ? probeTcp(address, port, monitor) : probeHttp(address, port, monitor, key);
}

function probeHttp(address: string, port: number, monitor: MonitorSpec, key = "1"): Promise<ProbeAnswer> {
  return new Promise((resolve) => {
    const say = (problem?: string) => {
      clearTimeout(timer);
      resolve(problem === undefined ? { good: true } : { good: false, problem });
      request.destroy();
    };
    const request = http.get(
      {
        host: address,
        port,
        path: monitor.path,
        agent: false,
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
              : `status ${statusCode} instead of ${monitor.expectStatus} for ${monitor.path}`,
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
