import { planMembers, type Order, type PresentServer } from "./members";
import { poolNames } from "./names";
import { parseServersState, parseStat, parseTables } from "./parse";
import { planTables } from "./run-time-state";
import { RuntimeRefusal, type RuntimeClient } from "./runtime-client";
import type { SavedPool } from "./saved-pools";
import type { HaproxySettings } from "./settings";

/** Brings one pool's backend and tables to what they should be, over the Runtime API. */
export async function reconcile(
  client: RuntimeClient,
  { spec, order }: SavedPool,
  settings: HaproxySettings,
  calledOff?: ReadonlySet<string>,
): Promise<void> {
  const names = poolNames(spec.name);
  const http = spec.listen.mode === "http";
  const switched = [names.order, names.probes, names.hosts];
  const [stat, state, text] = await Promise.all([
    client.ask(`show stat ${names.backend} -1 -1`),
    client.ask(`show servers state ${names.backend}`),
    http ? client.ask(switched.map((name) => `show table ${name}`).join("; ")) : "",
  ]);
  const rows = parseStat(stat);
  const servers = parseServersState(state).map((server): PresentServer => {
    const row = rows.find(({ name }) => name === server.name);
    return { ...server, maxConnections: row?.number("slim") ?? 0 };
  });
  const tables = parseTables(text);
  const orders = planMembers(spec, servers, settings, calledOff);
  if (http) {
    const [orderTable, probes, hosts] = switched.map((name) => tables.get(name) ?? []);
    // Who is to leave first: an order to leave is older than the next user.
    await perform(client, planTables(spec, order, { order: orderTable, probes, hosts }));
  }
  await perform(client, orders);
}

async function perform(client: RuntimeClient, orders: readonly Order[]): Promise<void> {
  for (const { command, done, later } of orders) {
    try {
      await client.order(command, done);
    } catch (error) {
      if (!(error instanceof RuntimeRefusal) || later === undefined || !later.test(error.answer)) throw error;
    }
  }
}
