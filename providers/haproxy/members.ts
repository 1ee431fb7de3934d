import type { MonitorSpec } from "../../lib/site/api";
import type { BalancerMember, BalancerPool } from "../../lib/site/ports";
import { SpillwayError } from "../../lib/errors";
import { endpoint, poolNames, serverName, serverNumber } from "./names";
import type { ServerState } from "./parse";
import type { HaproxySettings } from "./settings";

/** One order to HAProxy. */
export interface Order {
  readonly command: string;
  /** HAProxy's words when it is done. @default nothing */
  readonly done?: RegExp;
  /** HAProxy's words when it cannot be done yet and is to be tried at the next look. */
  readonly later?: RegExp;
}

/** A server as HAProxy has it now, with its limit of concurrent requests. */
export interface PresentServer extends ServerState {
  readonly maxConnections: number;
}

export type MemberSettings = Pick<BalancerPool, "name" | "monitor" | "maxConnections" | "members">;

/** HAProxy's weights go to 256; twice ours leaves a slow start its steps. */
const WEIGHT_FACTOR = 2;

/** A member that is on its way up or down is looked at more often, so that nobody waits out whole intervals. */
const QUICK_INTERVAL_MS = 250;

/**
 * What must be ordered so that a pool's backend has the members it should. Level-triggered: what is so already is not ordered, and
 * what was cut off is taken up again. Pure.
 *
 * A new server is drained before it leaves maintenance and its health is set to down: HAProxy takes a server that leaves
 * maintenance for up until its checks fail, and would give users to a member that is not there yet.
 */
export function planMembers(
  pool: MemberSettings,
  present: readonly PresentServer[],
  settings: HaproxySettings,
  calledOff: ReadonlySet<string> = new Set(),
): readonly Order[] {
  const names = poolNames(pool.name);
  const drains = membersToDrain(pool.members, present);
  const orders: Order[] = [];
  for (const member of pool.members) {
    const name = serverName(member.id);
    const server = present.find((other) => other.name === name);
    orders.push(
      ...memberOrders(
        `${names.backend}/${name}`,
        member,
        server,
        { drain: drains.has(member.id), calledOff: calledOff.has(member.id) },
        pool,
        settings,
      ),
    );
  }
  const wanted = new Set(pool.members.map(({ id }) => serverName(id)));
  for (const server of present) {
    if (!wanted.has(server.name)) orders.push(...removalOrders(`${names.backend}/${server.name}`, server));
  }
  return orders;
}

/** Maintenance sends its users elsewhere; HAProxy then refuses to delete it until its last connection is gone. */
function removalOrders(at: string, server: ServerState): readonly Order[] {
  const remove = {
    command: `del server ${at}`,
    done: /deleted/i,
    later: /still has connections|maintenance mode/i,
  };
  if (server.inMaintenance && !server.asksAgent) return [remove];
  const silenced = server.asksAgent ? [{ command: `disable agent ${at}` }] : [];
  return [...silenced, { command: `set server ${at} state maint` }, remove];
}

function memberOrders(
  at: string,
  member: BalancerMember,
  server: PresentServer | undefined,
  { drain, calledOff }: { readonly drain: boolean; readonly calledOff: boolean },
  pool: MemberSettings,
  settings: HaproxySettings,
): readonly Order[] {
  const orders: Order[] = [];
  if (server === undefined) {
    orders.push({
      command: `add server ${at} ${serverParameters(member, pool, settings)}`,
      done: /registered/i,
    });
  } else if (server.address !== member.address || server.port !== member.port) {
    orders.push(
      { command: `set server ${at} state maint` },
      {
        command: `set server ${at} addr ${word(member.address, member)} port ${member.port}`,
        done: /changed|no need/i,
      },
    );
  } else if (server.inMaintenance && server.asksAgent) {
    return [];
  } else if (!server.inMaintenance) {
    const agentsDrain = server.asksAgent && !drain && !calledOff;
    if (server.draining !== drain && !agentsDrain)
      orders.push({ command: `set server ${at} state ${drain ? "drain" : "ready"}` });
    return [...orders, ...adjustments(at, member, server, pool)];
  }
  // One line: it is done as a whole, whatever becomes of the one who asked.
  const steps = [
    `enable health ${at}`,
    ...(settings.agentCheck ? [`enable agent ${at}`] : []),
    ...drained(at),
    ...(drain ? [] : [`set server ${at} state ready`]),
  ];
  orders.push({ command: steps.join("; ") });
  return server === undefined ? orders : [...orders, ...adjustments(at, member, server, pool)];
}

function drained(at: string): readonly string[] {
  return [`set server ${at} state drain`, `set server ${at} health down`];
}

function adjustments(
  at: string,
  member: BalancerMember,
  server: PresentServer,
  pool: MemberSettings,
): readonly Order[] {
  const weight = weightOf(member);
  return [
    // An agent's weight holds over ours.
    ...(server.weight === weight || server.asksAgent
      ? []
      : [{ command: `set server ${at} weight ${weight}` }]),
    ...(server.maxConnections === pool.maxConnections
      ? []
      : [{ command: `set maxconn server ${at} ${pool.maxConnections}` }]),
  ];
}

/**
 * Which members take no new users: those that are to drain, unless nobody else is up. Users who still come, by a stale answer, are
 * better served by a member that leaves than by none.
 */
function membersToDrain(
  members: readonly BalancerMember[],
  present: readonly ServerState[],
): ReadonlySet<string> {
  const isUp = ({ id }: BalancerMember) =>
    present.some((server) => server.name === serverName(id) && server.running && !server.inMaintenance);
  if (!members.some((member) => !member.draining && isUp(member))) return new Set();
  return new Set(members.filter(({ draining }) => draining).map(({ id }) => id));
}

/** A member's line in the backend, for a HAProxy that starts: one that is known to be up, or drains. */
export function serverLine(member: BalancerMember, pool: MemberSettings, settings: HaproxySettings): string {
  return `server ${serverName(member.id)} ${serverParameters(member, pool, settings)}`;
}

function weightOf(member: BalancerMember): number {
  return Math.min(Math.max(Math.round((member.weight ?? 1) * WEIGHT_FACTOR), 1), 256);
}

/** Never the keyword `enabled`: HAProxy 2.6 then loses another server's traffic once this one was in maintenance. */
function serverParameters(member: BalancerMember, pool: MemberSettings, settings: HaproxySettings): string {
  return [
    endpoint(word(member.address, member), member.port),
    `id ${serverNumber(member.id)}`,
    checkParameters(pool.monitor, settings),
    `weight ${weightOf(member)}`,
    ...(pool.maxConnections > 0 ? [`maxconn ${pool.maxConnections}`] : []),
  ].join(" ");
}

/** What every member of a pool is added with. Pure. */
export function checkParameters(monitor: MonitorSpec, settings: HaproxySettings): string {
  const { intervalMs, rise, fall } = monitor;
  const quickMs = Math.min(intervalMs, QUICK_INTERVAL_MS);
  return [
    `check inter ${intervalMs} fastinter ${quickMs} downinter ${quickMs} rise ${rise} fall ${fall}`,
    // A request that fails on it is a reason to look at once.
    "observe layer4 error-limit 1 on-error fastinter",
    // Unlike one of the file, a server added at run time keeps no idle connection unless both are named (measured with 2.6).
    "pool-max-conn 1000 pool-purge-delay 1s",
    ...(settings.slowStartMs ? [`slowstart ${settings.slowStartMs}`] : []),
    ...(settings.agentCheck
      ? [`agent-check agent-port ${settings.agentCheck.port} agent-inter ${settings.agentCheck.intervalMs}`]
      : []),
  ].join(" ");
}

/** @throws SpillwayError for an address that would be more than one word of a command */
function word(address: string, member: BalancerMember): string {
  if (/^[A-Za-z0-9_.:%-]+$/.test(address)) return address;
  throw new SpillwayError({
    place: `member ${member.id}`,
    problem: `its address "${address}" is none`,
    mend: "Give an IP address or a host name.",
  });
}
