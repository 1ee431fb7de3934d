import { demandAt } from "../trace";
import { seededRandom } from "../random";
import { DnsClient } from "./dns-client";
import { Measurements, type Standing } from "./measurements";
import { NameCache } from "./name-cache";
import { BUCKET_MS, type LoadBucket, type LoadFailure, type LoadOptions, type LoadTotals } from "./options";
import { planUsers } from "./population";
import { User, type Outcome } from "./user";

export interface ReplayHandlers {
  readonly onBucket?: (bucket: LoadBucket) => void;
  /** Each of the first failures. */
  readonly onFailure?: (failure: LoadFailure) => void;
}

export interface Replay {
  readonly startedAt: number;
  /** Ends when stopped, or at `maxMs`. */
  readonly ended: Promise<LoadTotals>;
  /** No new requests; those under way are waited for (at most `timeoutMs`). Idempotent. */
  stop(): Promise<LoadTotals>;
}

const TICK_MS = 5;
/** A stall of the load's own process longer than that is not made up for: a burst of old requests is no demand that ever was. */
const CATCH_UP_MS = 500;

/**
 * Replays a demand curve with virtual users. Open loop: requests are made when the curve says, whatever became of the ones before.
 */
export async function startReplay(options: LoadOptions, handlers: ReplayHandlers = {}): Promise<Replay> {
  const maxInFlight = options.maxInFlight ?? 4_000;
  const maxMs = options.maxMs ?? 600_000;
  const measurements = new Measurements();
  const dns = await DnsClient.open(options.nameServer);
  const siteOfAddress = new Map(Object.entries(options.sites).map(([site, address]) => [address, site]));
  const nameOf = (address: string) => siteOfAddress.get(address) ?? address;
  const random = seededRandom(options.seed ?? 1);
  const users = makeUsers(options, async () => {
    const answer = await dns.resolve(options.name);
    measurements.named(nameOf(answer.address));
    return answer;
  });

  const startedAt = Date.now();
  const started = performance.now();
  let inFlight = 0;
  let due = 0;
  let lastTick = started;
  let nextBucket = BUCKET_MS;
  let stopping = false;
  let resolveEnded!: (totals: LoadTotals) => void;
  const ended = new Promise<LoadTotals>((resolve) => (resolveEnded = resolve));

  const standing = (): Standing => {
    const usersBySite: Record<string, number> = {};
    const connectionsBySite: Record<string, number> = {};
    for (const user of users) {
      if (user.lastSite !== undefined) usersBySite[user.lastSite] = (usersBySite[user.lastSite] ?? 0) + 1;
      for (const address of user.openAddresses()) {
        connectionsBySite[nameOf(address)] = (connectionsBySite[nameOf(address)] ?? 0) + 1;
      }
    }
    return { inFlight, usersBySite, connectionsBySite };
  };

  const ask = (index: number, clickedAt: number) => {
    if (inFlight >= maxInFlight) return measurements.heldBack(1);
    measurements.offered();
    inFlight++;
    void users[index].request(clickedAt).then((outcome) => {
      inFlight--;
      note(outcome, index);
    });
  };
  const note = (outcome: Outcome, index: number) => {
    if (outcome.retried) measurements.retried();
    if (outcome.ok) return measurements.answered(outcome.site, outcome.latencyMs);
    const failure: LoadFailure = {
      atMs: Math.round(performance.now() - started),
      user: index,
      kind: users[index].kind,
      site: outcome.address === undefined ? undefined : nameOf(outcome.address),
      reason: outcome.reason,
      detail: outcome.detail,
    };
    if (measurements.failed(failure)) handlers.onFailure?.(failure);
  };

  const tick = () => {
    const now = performance.now();
    const passed = now - lastTick;
    lastTick = now;
    if (!stopping) {
      const rate = demandAt(options.curve, now - started - passed / 2) / 1_000;
      const counted = Math.min(passed, CATCH_UP_MS);
      if (passed > counted) measurements.heldBack(Math.round(rate * (passed - counted)));
      const from = due;
      due += rate * counted;
      for (let request = Math.floor(from) + 1; request <= due; request++) {
        const clickedAt = now - counted + ((request - from) / (due - from)) * counted;
        ask(Math.floor(random() * users.length), clickedAt);
      }
      if (now - started >= maxMs) void stop();
    }
    while (now - started >= nextBucket) {
      handlers.onBucket?.(measurements.take(nextBucket - BUCKET_MS, standing()));
      nextBucket += BUCKET_MS;
    }
  };
  const ticker = setInterval(tick, TICK_MS);

  const finish = () => {
    clearInterval(ticker);
    const endMs = performance.now() - started;
    handlers.onBucket?.(
      measurements.take(nextBucket - BUCKET_MS, standing(), endMs - nextBucket + BUCKET_MS),
    );
    for (const user of users) user.close();
    dns.close();
    resolveEnded(measurements.totals(startedAt, Math.round(endMs)));
  };
  const stop = (): Promise<LoadTotals> => {
    if (!stopping) {
      stopping = true;
      // Every request ends by its own time-out; the name server's tries may add a little.
      const deadline = performance.now() + (options.timeoutMs ?? 5_000) + 4_000;
      const waiter = setInterval(() => {
        if (inFlight > 0 && performance.now() < deadline) return;
        clearInterval(waiter);
        finish();
      }, 20);
    }
    return ended;
  };
  return { startedAt, ended, stop };
}

function makeUsers(
  options: LoadOptions,
  ask: () => Promise<{ address: string; ttlSeconds: number }>,
): readonly User[] {
  const ownAddresses = options.ownAddresses ?? process.platform === "linux";
  return planUsers(options).map(({ kind, ignoresTtl }, index) => {
    return new User({
      kind,
      names: new NameCache(ask, ignoresTtl ? (options.ttlIgnoringFactor ?? 10) : 1),
      host: options.name,
      port: options.port,
      path: options.path ?? "/",
      timeoutMs: options.timeoutMs ?? 5_000,
      connections: options.connectionsPerUser ?? 6,
      localAddress: ownAddresses ? `127.1.${Math.floor(index / 250)}.${(index % 250) + 1}` : undefined,
    });
  });
}
