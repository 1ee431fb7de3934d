import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AbortedError, DeadlineError } from "../../../lib/errors";
import type { PoolSpec } from "../../../lib/site/api";
import type { SiteDirectory } from "../../../lib/site/client";
import { openGate, PROBE_HEADER, type GateRequest } from "../../../lib/steps";
import { PROBE_HEADER as BALANCER_PROBE_HEADER } from "../../../providers/local/balancer/headers";
import { makeImage, poolSpec, processesOf, push, startSiteProcess } from "../../support/site";
import type { MadeImage, TestSiteProcess } from "../../support/site";
import { directoryOf, heard, listener, thrownBy } from "./support/steps";

let site: TestSiteProcess;
let sites: SiteDirectory;
let image: MadeImage;
let crashing: MadeImage;
const folder = mkdtempSync(join(tmpdir(), "spillway-gate-"));
let count = 0;

beforeAll(async () => {
  image = await makeImage({ dir: folder });
  crashing = await makeImage({ dir: folder, version: "broken", behaviour: { crashAfterMs: 10 } });
  site = await startSiteProcess();
  sites = directoryOf(site);
  await push(site, image);
  await push(site, crashing);
}, 60_000);

afterAll(async () => {
  sites?.close();
  await site?.close();
  rmSync(folder, { recursive: true });
});

async function put(changes: Partial<PoolSpec> = {}, from = image): Promise<{ name: string; spec: PoolSpec }> {
  const name = `shop-${++count}`;
  const spec = await poolSpec(site, from, changes);
  await site.client.putPool(name, spec);
  return { name, spec };
}

function opening(name: string, changes: Partial<GateRequest> = {}): GateRequest {
  return {
    ...{ site: "cloud", name, generation: `g-${name}`, successes: 3, deadlineMs: 10_000 },
    monitor: { type: "http", path: "/", expectStatus: 200, intervalMs: 50, timeoutMs: 500, rise: 1, fall: 1 },
    ...changes,
  };
}

test("a gate opens once every member is up and answers came in a row, and says so at the site", async () => {
  const { name } = await put();
  const context = listener();
  const before = Date.now();
  const { id, admittedAt } = await openGate(sites, opening(name), context);
  expect(id).toBe(`cloud/${name}#g-${name}`);
  expect(admittedAt).toBeGreaterThanOrEqual(before);
  const status = await site.client.pool(name);
  expect(status?.members.every(({ state }) => state === "up")).toBe(true);
  expect(status?.gate).toEqual({ generation: `g-${name}`, admittedAt });
  expect(context.said.at(-1)?.message).toBe("available: 3 good answers in a row, 2 members up");
});

test("probes of a gate are nobody's sessions and no requests of users", async () => {
  expect(PROBE_HEADER).toBe(BALANCER_PROBE_HEADER);
  const { name } = await put();
  await openGate(sites, opening(name, { successes: 10 }), listener());
  expect(await site.client.traffic(name)).toMatchObject({ requestsTotal: 0, sessions: 0, failedTotal: 0 });
});

test("a tcp monitor is satisfied by a connection", async () => {
  const { name } = await put({ listen: { ...(await poolSpec(site, image)).listen, mode: "tcp" } });
  const monitor = { ...opening(name).monitor, type: "tcp" as const };
  await openGate(sites, opening(name, { monitor }), listener());
});

test("a monitor that never turns healthy fails the gate at its deadline and marks the pool for a new try", async () => {
  const { name } = await put();
  const monitor = { ...opening(name).monitor, expectStatus: 418 };
  const error = await thrownBy(openGate(sites, opening(name, { monitor, deadlineMs: 1_000 }), listener()));
  expect(error).toBeInstanceOf(DeadlineError);
  expect(error.message).toMatch(/last seen: from outside: status 200 instead of 418 for \//);
  const status = await site.client.pool(name);
  expect(status?.phase).toBe("failed");
  expect(status?.problem).toMatch(/^the gate did not open: waited/);
  expect(status?.gate).toBeUndefined();
});

test("members that are unhealthy keep the gate shut, and the deadline says how many are up", async () => {
  const { name } = await put({ environment: { UNHEALTHY: "1" } });
  const error = await thrownBy(openGate(sites, opening(name, { deadlineMs: 1_000 }), listener()));
  expect(error.message).toMatch(/last seen: 0 of 2 members up/);
});

test("a pool whose members all die fails the gate long before its deadline, with their last words", async () => {
  const { name } = await put({}, crashing);
  const started = Date.now();
  const error = await thrownBy(openGate(sites, opening(name, { deadlineMs: 60_000 }), listener()));
  expect(Date.now() - started).toBeLessThan(20_000);
  expect(error.message).toMatch(/too few members .* can become available: .*crashing as asked/);
  expect((await site.client.pool(name))?.phase).toBe("failed");
}, 30_000);

test("a member that dies during admission begins the row anew", async () => {
  const { name } = await put();
  const context = listener();
  const opened = openGate(sites, opening(name, { successes: 40 }), context);
  await heard(context, /^([5-9]|1\d) of 40 good answers/);
  const [member] = (await site.client.pool(name))?.members ?? [];
  for (const pid of processesOf(site.stateDir, member?.id)) process.kill(pid, "SIGKILL");
  await heard(context, /1 of 2 members up|0 of 40 good/);
  await opened;
  const rows = context.said.map(({ message }) => Number(/^(\d+) of 40/.exec(message)?.[1] ?? 0));
  const fell = rows.findIndex((row, at) => at > 0 && row < (rows[at - 1] ?? 0));
  expect(fell).toBeGreaterThan(0);
  expect(rows[fell]).toBeLessThanOrEqual(1);
}, 30_000);

test("a gate that wants fewer members than the pool has opens without the rest", async () => {
  const { name } = await put({ members: 1 });
  const wants = opening(name, { minMembers: 1 });
  await openGate(sites, wants, listener());
  const error = await thrownBy(openGate(sites, { ...wants, minMembers: 2 }, listener()));
  expect(error.message).toMatch(/2 members must be up, but the pool has 1 .* Lower `min_members`/);
  expect((await site.client.pool(name))?.phase).toBe("ready");
});

test("an abort leaves the pool as it is: nothing is wrong with it", async () => {
  const { name } = await put({ environment: { UNHEALTHY: "1" } });
  const context = listener();
  const opened = thrownBy(openGate(sites, opening(name), context));
  await heard(context, /0 of 2 members up/);
  context.stop();
  expect(await opened).toBeInstanceOf(AbortedError);
  expect((await site.client.pool(name))?.phase).not.toBe("failed");
});

test("a gate before a pool that is not there fails at once", async () => {
  const error = await thrownBy(openGate(sites, opening("nowhere"), listener()));
  expect(error.message).toMatch(/the pool cloud\/nowhere is not there/);
});

test("an agent that is restarted during admission does not fail the gate", async () => {
  const { name } = await put();
  const context = listener();
  const opened = openGate(sites, opening(name, { successes: 60, deadlineMs: 20_000 }), context);
  await heard(context, /of 60 good answers/);
  await site.kill();
  await heard(context, /cannot be asked now/);
  await site.restart();
  await opened;
}, 30_000);
