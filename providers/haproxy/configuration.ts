import { serverLine } from "./members";
import { serverName } from "./names";
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
    ...pools.map((pool) => savedStanza(pool, settings)),
  ].join("\n");
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
