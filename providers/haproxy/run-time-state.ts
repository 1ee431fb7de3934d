import { PACE_MS } from "../../lib/site/api";
import type { BalancerPool } from "../../lib/site/ports";
import type { QuiesceOrder } from "../local/balancer/quiesce";
import { tickAt } from "./clock";
import type { Order } from "./members";
import { poolNames } from "./names";
import type { TableEntry } from "./parse";
import { FULL_SHARE } from "./stanza";

/** A pool's tables that are switched at run time, as they are now. */
export interface SwitchedTables {
  readonly order: readonly TableEntry[];
  readonly probes: readonly TableEntry[];
  readonly hosts: readonly TableEntry[];
}

/** What a pool's `order` table must hold. Pure. */
export function switches(pool: BalancerPool, order: QuiesceOrder): ReadonlyMap<string, number> {
  const { share, forMs, once } = order.spec;
  const when = (moment: number) => (share > 0 ? tickAt(moment) : 0);
  return new Map([
    ["share", Math.round(Math.min(Math.max(share, 0), 1) * FULL_SHARE)],
    ["begin", when(order.since)],
    ["since", when(order.rampSince)],
    ["until", forMs > 0 ? when(order.since + forMs) : 0],
    ["pace", share > 0 && once ? PACE_MS : 0],
    ["hosts", pool.hosts && pool.hosts.length > 0 ? 1 : 0],
  ]);
}

/** What must be ordered so that the tables hold what they should: who is to leave, which keys probes carry, which hosts are users'. Pure. */
export function planTables(
  pool: BalancerPool,
  order: QuiesceOrder,
  present: SwitchedTables,
): readonly Order[] {
  const names = poolNames(pool.name);
  return [
    // Hosts are known before they are told apart, and a share is named last: no user is ever taken for a stranger in between.
    ...planKeys(names.hosts, pool.hosts ?? [], present.hosts),
    ...planKeys(names.probes, pool.probeKey === undefined ? [] : [pool.probeKey], present.probes),
    ...planOrder(names.order, switches(pool, order), present.order),
  ];
}

function planOrder(
  table: string,
  wanted: ReadonlyMap<string, number>,
  present: readonly TableEntry[],
): Order[] {
  const set = (key: string, value: number) => ({
    command: `set table ${table} key ${key} data.gpt0 ${value}`,
  });
  const changed = [...wanted].reverse().filter(([key, value]) => valueOf(present, key) !== value);
  // Half of one order and half of the next would ask others than either: nobody is asked in between.
  const isReplaced =
    valueOf(present, "share") > 0 && changed.some(([key]) => key !== "share" && key !== "hosts");
  if (!isReplaced) return changed.map(([key, value]) => set(key, value));
  const rest = changed.filter(([key]) => key !== "share");
  const share = wanted.get("share") ?? 0;
  return [
    set("share", 0),
    ...rest.map(([key, value]) => set(key, value)),
    ...(share > 0 ? [set("share", share)] : []),
  ];
}

function planKeys(table: string, wanted: readonly string[], present: readonly TableEntry[]): Order[] {
  const words = wanted.filter((key) => /^[A-Za-z0-9_.:~-]{1,250}$/.test(key));
  return [
    ...words
      .filter((key) => !present.some((entry) => entry.key === key))
      .map((key) => ({ command: `set table ${table} key ${key} data.gpt0 1` })),
    ...present
      .filter(({ key }) => !words.includes(key))
      .map(({ key }) => ({ command: `clear table ${table} key ${key}`, done: /^$|not found/i })),
  ];
}

function valueOf(entries: readonly TableEntry[], key: string): number {
  return entries.find((entry) => entry.key === key)?.value("gpt0") ?? 0;
}
