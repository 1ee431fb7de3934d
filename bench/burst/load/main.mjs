/**
 * The load of the burst bench, a process of its own: one JSON line of options on its standard input (see `LOAD` in ../support/load.mjs),
 * then it prints a JSON line for each quarter of a second until its input ends, then one of totals.
 *
 * Open loop: requests are due when the curve says, whatever became of those before. Each round all users ask once, in an order of
 * its own, so that the users' shares are the requests' shares.
 */
import { once } from "node:events";
import { createInterface } from "node:readline";
import { Client } from "./client.mjs";
import { LiveClient } from "./live-client.mjs";
import { nameCache, openNameServer } from "./names.mjs";

const TICK_MS = 5;
const BUCKET_MS = 250;
const FAILURES_TOLD = 20;

const lines = createInterface({ input: process.stdin });
const options = JSON.parse((await once(lines, "line"))[0]);
const random = seeded(options.seed);
const names = await openNameServer(options.nameServer, options.name);
const users = Array.from({ length: options.clients }, (_, index) => {
  const ignoresTtl = index < options.clients * options.ttlIgnoring;
  return {
    resolve: nameCache(names, ignoresTtl ? options.ttlIgnoredMs : undefined),
    port: options.port,
    host: options.name,
    keepAlive: options.keepAlive,
    timeoutMs: options.timeoutMs,
    localAddress: options.localAddresses?.[index % options.localAddresses.length],
    visitMs: () => 3_000 + random() * 5_000,
  };
});
const clients = users.map((user) => new Client(user));
const live = options.liveMessagesPerSecond > 0 ? users.map((user) => new LiveClient(user)) : [];
const streams = [
  { next: inRounds(clients), rateAt: curve(options.curve), due: 0 },
  ...(live.length > 0 ? [{ next: inRounds(live), rateAt: () => options.liveMessagesPerSecond, due: 0 }] : []),
];

const started = performance.now();
const cpuBefore = process.cpuUsage();
const totals = { requests: 0, failed: 0, resent: 0, lateMs: 0, failures: [], reasons: {} };
let bucket = newBucket(0);
let inFlight = 0;
let lastTick = started;

process.stdout.write(`${JSON.stringify({ kind: "started", at: Date.now() })}\n`);
const ticker = setInterval(tick, TICK_MS);
lines.once("close", async () => {
  clearInterval(ticker);
  const deadline = performance.now() + options.timeoutMs + 1_000;
  while (inFlight > 0 && performance.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 20));
  tell(performance.now() - started);
  const { user, system } = process.cpuUsage(cpuBefore);
  const seconds = (performance.now() - started) / 1_000;
  totals.cpuPercent = Math.round((user + system) / 1e4 / seconds);
  process.stdout.write(`${JSON.stringify({ kind: "done", ...totals })}\n`, () => process.exit(0));
});

function tick() {
  const now = performance.now();
  const passed = now - lastTick;
  lastTick = now;
  totals.lateMs = Math.max(totals.lateMs, Math.round(passed - TICK_MS));
  for (const stream of streams) {
    const from = stream.due;
    stream.due += (stream.rateAt(now - started) * passed) / 1_000;
    for (let request = Math.floor(from) + 1; request <= stream.due; request++) {
      const dueAt = now - passed + ((request - from) / (stream.due - from)) * passed;
      ask(stream.next(), dueAt);
    }
  }
  if (now - started >= bucket.atMs + BUCKET_MS) tell(bucket.atMs + BUCKET_MS);
}

async function ask(client, dueAt) {
  inFlight += 1;
  totals.requests += 1;
  bucket.offered += 1;
  const { ok, site, reason, resent, address } = await client.request();
  inFlight -= 1;
  const now = performance.now();
  if (resent) totals.resent += 1;
  if (ok) return (bucket.sites[site] ??= []).push(Math.round((now - dueAt) * 10) / 10);
  totals.failed += 1;
  bucket.failed += 1;
  totals.reasons[reason] = (totals.reasons[reason] ?? 0) + 1;
  if (totals.failures.length < FAILURES_TOLD) {
    totals.failures.push({ atMs: Math.round(now - started), address, reason, resent });
  }
}

function tell(untilMs) {
  process.stdout.write(`${JSON.stringify({ kind: "bucket", ...bucket, inFlight })}\n`);
  bucket = newBucket(untilMs);
}

/** `sites`: latencies of good answers, in milliseconds, by the site that gave them. */
function newBucket(atMs) {
  return { atMs: Math.round(atMs), offered: 0, failed: 0, sites: {} };
}

/** Requests a second by time, straight between the points `[ms, rate]`; after the last as at the last. */
function curve(points) {
  return (ms) => {
    const after = points.findIndex(([at]) => at > ms);
    if (after === -1) return points.at(-1)[1];
    if (after === 0) return points[0][1];
    const [[fromMs, from], [toMs, to]] = [points[after - 1], points[after]];
    return from + ((to - from) * (ms - fromMs)) / (toMs - fromMs);
  };
}

function inRounds(all) {
  let order = [];
  return () => {
    if (order.length === 0) order = shuffled(all);
    return order.pop();
  };
}

function shuffled(all) {
  const order = [...all];
  for (let last = order.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [order[last], order[other]] = [order[other], order[last]];
  }
  return order;
}

/** mulberry32 */
function seeded(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
