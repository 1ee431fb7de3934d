import { createHash } from "node:crypto";

/** The proxies and tables of a pool in HAProxy's configuration. */
export interface PoolNames {
  readonly frontend: string;
  /** It has another name than the frontend: `show stat NAME` tells of one proxy only. */
  readonly backend: string;
  /** Open connections of clients. */
  readonly connections: string;
  /** Users who sent their cookie back. */
  readonly users: string;
  /** Requests by who asked. */
  readonly totals: string;
  /** What is switched at run time: the quiesce order, and whether hosts are told apart. */
  readonly order: string;
  /** Keys that gates' probes carry. */
  readonly probes: string;
  /** Host names that users ask for. */
  readonly hosts: string;
}

/** Pool names hold no dot, so that no two pools' names meet. */
export function poolNames(pool: string): PoolNames {
  const frontend = `spillway.${pool}`;
  return {
    frontend,
    backend: `${frontend}.members`,
    connections: `${frontend}.connections`,
    users: `${frontend}.users`,
    totals: `${frontend}.totals`,
    order: `${frontend}.order`,
    probes: `${frontend}.probes`,
    hosts: `${frontend}.hosts`,
  };
}

/** The name of a pool's affinity cookie: the same as the embedded balancer's. */
export function cookieName(pool: string): string {
  return `SPILLWAY_${pool.replace(/[^A-Za-z0-9_-]/g, "_")}`;
}

/** A member's name as a server: its id where HAProxy (and a cookie) can hold that, else a digest of it. */
export function serverName(memberId: string): string {
  if (/^[A-Za-z0-9_.-]{1,80}$/.test(memberId)) return memberId;
  return `m-${createHash("sha256").update(memberId).digest("hex").slice(0, 24)}`;
}

/**
 * A member's number as a server. HAProxy gives numbers by itself, but other ones after a reload; ours stay, so that what tables say
 * of a member holds across it.
 */
export function serverNumber(memberId: string): number {
  return createHash("sha256").update(memberId).digest().readUInt32BE(0) & 0x7fff_ffff || 1;
}

/** `address:port` as HAProxy reads it. */
export function endpoint(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
