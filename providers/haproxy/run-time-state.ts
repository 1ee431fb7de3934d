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
  const { share, forMs } = order.spec;
  return new Map([
    ["share", Math.round(Math.min(Math.max(share, 0), 1) * FULL_SHARE)],
    ["since", share > 0 ? tickAt(order.rampSince) : 0],
    ["until", share > 0 && forMs > 0 ? tickAt(order.since + forMs) : 0],
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
    ...[...switches(pool, order)]
      .reverse()
      .filter(([key, value]) => valueOf(present.order, key) !== value)
      .map(([key, value]) => ({ command: `set table ${names.order} key ${key} data.gpt0 ${value}` })),
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
