import { isIP } from "node:net";
import { SpillwayError } from "../../lib/errors";
import { serverLine } from "./members";
import { endpoint, serverName } from "./names";
import type { SavedPool } from "./saved-pools";
import type { HaproxySettings } from "./settings";
import { poolStanza } from "./stanza";

/** The whole configuration of a HAProxy that Spillway runs. Members that are known to be up are in it, so that a reload or a restart has them at once. Pure. */
export function managedConfig(
  pools: readonly SavedPool[],
  socket: string,
  settings: HaproxySettings,
): string {
  return [
    "# Written by Spillway; changes are lost.",
    "global",
    `    stats socket ${socket} mode 600 level admin expose-fd listeners`,
    "",
    // Without any proxy HAProxy would refuse to start; a table takes no port.
    "backend spillway",
    "    stick-table type integer size 1",
    "",
    ...(settings.exporter === undefined ? [] : exporter(settings.exporter)),
    ...pools.map((pool) => savedStanza(pool, settings)),
  ].join("\n");
}

/**
 * HAProxy's own metrics for Prometheus. No pool's frontend has a name without a dot.
 * @throws SpillwayError for an address that HAProxy could not read as one
 */
function exporter(address: string): string[] {
  const port = Number(/:(\d{1,5})$/.exec(address)?.[1]);
  const host = address.slice(0, address.lastIndexOf(":")).replace(/^\[(.*)\]$/, "$1");
  if (isIP(host) === 0 || !(port >= 1 && port <= 65_535)) {
    throw new SpillwayError({
      place: "HAProxy settings",
      problem: `\`exporter\` must be an IP address and a port, got ${JSON.stringify(address)}`,
      mend: "Write it as 10.0.0.2:8405.",
      attribute: ["settings", "exporter"],
    });
  }
  return [
    "frontend spillway-exporter",
    "    mode http",
    `    bind ${endpoint(host, port)}`,
    "    timeout client 10s",
    "    timeout http-request 10s",
    "    http-request use-service prometheus-exporter if { path /metrics }",
    "    http-request return status 404",
    "",
  ];
}

/** A pool's stanza with the members that are known to be up: whoever loads it has them at once. Pure. */
export function savedStanza({ spec, up }: SavedPool, settings: HaproxySettings): string {
  const known = spec.members.filter(({ id }) => up.includes(serverName(id)));
  // A draining member starts without a share of new users, and keeps those that its cookies name.
  const lines = known.map((member) => {
    const line = serverLine(member, spec, settings);
    return member.draining ? line.replace(/ weight \d+/, " weight 0") : line;
  });
  return poolStanza(spec, settings, lines);
}
