import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type MadeImage,
  type TestSite,
  allUp,
  makeImage,
  poolSpec,
  poolUntil,
  processesOf,
  push,
  startSite,
} from "../../../support/site";
import { startLoad } from "../../../support/load";
import { digestOf } from "../../../support/image";
import { probe } from "../../../../lib/steps/direct/probe";
import { sleep } from "../../../../lib/wait";

let dir: string;
let site: TestSite;
let one: MadeImage;
let two: MadeImage;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "spillway-pools-"));
  [one, two] = await Promise.all([makeImage({ dir, version: "1" }), makeImage({ dir, version: "2" })]);
  site = await startSite({ site: "cloud" });
  await push(site, one);
  await push(site, two);
});

afterAll(async () => {
  await site?.close();
  rmSync(dir, { recursive: true, force: true });
});

afterEach(async () => {
  const { pools } = await site.client.context();
  for (const { name } of pools) {
    const owner = (await site.client.pool(name))?.spec.owner;
    if (owner) await site.client.deletePool(name, owner);
  }
  for (const { name } of pools) await poolUntil(site, name, (status) => status === undefined);
  expect(processesOf(site.stateDir).length).toBe(0);
});

async function ask(
  port: number,
  path = "/",
): Promise<{ status: number; member?: string; version?: string; greeting?: string }> {
  const answer = await fetch(`http://${site.address}:${port}${path}`, { headers: { connection: "close" } });
  const body = (await answer.json().catch(() => ({}))) as Record<string, string>;
  return { status: answer.status, ...body };
}

/** A user who came back: the pool knows its affinity cookie. */
async function settle(port: number): Promise<void> {
  const url = `http://${site.address}:${port}/`;
  const first = await fetch(url, { headers: { connection: "close" } });
  const cookie = first.headers.get("set-cookie")?.split(";")[0] ?? "";
  await first.text();
  await (await fetch(url, { headers: { connection: "close", cookie } })).text();
}

test("a pool is launched, answers, and is taken down to the last process", async () => {
  const spec = await poolSpec(site, one, { environment: { GREETING: "hello" } });
  const first = await site.client.putPool("shop", spec);
  expect(first.phase).toBe("reconciling");
  const status = await poolUntil(site, "shop", allUp(2));
  expect(status?.members.map(({ image }) => image)).toEqual([one.digest, one.digest]);
  expect(await ask(spec.listen.port)).toMatchObject({ status: 200, version: "1", greeting: "hello" });
  expect(processesOf(site.stateDir)).toHaveLength(2);
  expect((await site.client.deletePool("shop", "test"))?.phase).toBe("leaving");
  await poolUntil(site, "shop", (now) => now === undefined);
  expect(processesOf(site.stateDir)).toHaveLength(0);
  await expect(fetch(`http://${site.address}:${spec.listen.port}/`)).rejects.toThrow();
});

test("asking for the same pool twice changes nothing", async () => {
  const spec = await poolSpec(site, one);
  await site.client.putPool("shop", spec);
  const before = await poolUntil(site, "shop", allUp(2));
  const { last } = await site.client.events();
  const again = await site.client.putPool("shop", spec);
  expect(again.members).toEqual(before?.members);
  expect(again.phase).toBe("ready");
  await sleep(400);
  expect((await site.client.events(last)).events).toEqual([]);
});

test("a pool grows and shrinks under load without a failed request", async () => {
  const spec = await poolSpec(site, one);
  await site.client.putPool("shop", spec);
  await poolUntil(site, "shop", allUp(2));
  const load = startLoad(site.address, spec.listen.port);
  await site.client.putPool("shop", { ...spec, members: 4 });
  await poolUntil(site, "shop", allUp(4));
  await site.client.putPool("shop", { ...spec, members: 1 });
  const status = await poolUntil(site, "shop", allUp(1));
  const result = await load.stop();
  expect(result.failed).toEqual([]);
  expect(result.answered).toBeGreaterThan(100);
  expect(processesOf(site.stateDir)).toEqual([expect.any(Number)]);
  expect(status?.members).toHaveLength(1);
});

test("a new image replaces the members one by one: never fewer up than asked for, no failed request", async () => {
  const spec = await poolSpec(site, one);
  await site.client.putPool("shop", spec);
  await poolUntil(site, "shop", allUp(2));
  const load = startLoad(site.address, spec.listen.port);
  await site.client.putPool("shop", { ...spec, image: two.digest });
  let fewest = Infinity;
  await poolUntil(site, "shop", (now) => {
    fewest = Math.min(fewest, now?.members.filter(({ state }) => state === "up").length ?? 0);
    return allUp(2)(now) && now!.members.every(({ image }) => image === two.digest);
  });
  expect((await load.stop()).failed).toEqual([]);
  expect(fewest).toBeGreaterThanOrEqual(2);
  expect(await ask(spec.listen.port)).toMatchObject({ version: "2" });
  expect(processesOf(site.stateDir)).toHaveLength(2);
});

test("an image whose members never come up replaces nobody, and going back to the old one mends it", async () => {
  const bad = await makeImage({ dir, version: "bad", behaviour: { unhealthy: true } });
  await push(site, bad);
  const spec = await poolSpec(site, one, { launchTimeoutMs: 400 });
  await site.client.putPool("shop", spec);
  const before = await poolUntil(site, "shop", allUp(2));
  await site.client.putPool("shop", { ...spec, image: bad.digest });
  const failed = await poolUntil(site, "shop", (now) => now?.phase === "failed");
  expect(failed?.problem).toMatch(/not up 400 ms after its launch: .*503/);
  expect(await ask(spec.listen.port)).toMatchObject({ status: 200, version: "1" });
  await site.client.putPool("shop", spec);
  const after = await poolUntil(site, "shop", allUp(2));
  expect(after?.members.map(({ image }) => image)).toEqual([one.digest, one.digest]);
  expect(before?.members).toHaveLength(2);
});

test("a member that is killed is launched again under its name", async () => {
  const spec = await poolSpec(site, one);
  await site.client.putPool("shop", spec);
  const before = await poolUntil(site, "shop", allUp(2));
  const victim = before?.members[0].id as string;
  const { last } = await site.client.events();
  const [pid] = processesOf(site.stateDir, victim);
  process.kill(pid, "SIGKILL");
  await poolUntil(site, "shop", (now) => !allUp(2)(now));
  await poolUntil(site, "shop", allUp(2));
  expect(processesOf(site.stateDir, victim)).toHaveLength(1);
  expect(processesOf(site.stateDir, victim)).not.toEqual([pid]);
  const kinds = (await site.client.events(last)).events
    .filter(({ subject }) => subject === victim)
    .map(({ kind }) => kind);
  expect(kinds).toEqual(["member-down", "member-launched", "member-up"]);
});

test("members that die over and over fail the pool with their last words; a retry launches them anew", async () => {
  const spec = await poolSpec(site, one, { members: 1, environment: { CRASH_AFTER_MS: "1" } });
  await site.client.putPool("shop", spec);
  const failed = await poolUntil(site, "shop", (now) => now?.phase === "failed");
  expect(failed?.problem).toMatch(/died 3 times without ever being up.*crashing as asked after 1 ms/);
  expect(failed?.members.map(({ state }) => state)).toEqual(["failed"]);
  const { last } = await site.client.events();
  expect((await site.client.retryPool("shop"))?.phase).toBe("reconciling");
  await poolUntil(site, "shop", () => true);
  await sleep(500);
  const launched = (await site.client.events(last)).events.filter(({ kind }) => kind === "member-launched");
  expect(launched.length).toBeGreaterThan(0);
  expect(launched[0].subject).not.toBe(failed?.members[0].id);
  await site.client.putPool("shop", { ...spec, environment: {} });
  await poolUntil(site, "shop", allUp(1));
});

test("an image that cannot be started fails the pool and says what is wrong with it", async () => {
  const broken = join(dir, "broken.tar");
  writeFileSync(broken, Buffer.alloc(20_000, "no archive at all "));
  const { digest } = await digestOf(broken);
  await push(site, { path: broken, digest, bytes: 20_000 });
  await site.client.putPool(
    "shop",
    await poolSpec(site, { path: broken, digest, bytes: 20_000 }, { members: 1 }),
  );
  const failed = await poolUntil(site, "shop", (now) => now?.phase === "failed");
  expect(failed?.problem).toMatch(/cannot be launched: it is no valid tar archive/);
});

test("a pool marked for a new try says why, and a retry replaces its members with the old ones serving", async () => {
  const spec = await poolSpec(site, one);
  await site.client.putPool("shop", spec);
  const before = await poolUntil(site, "shop", allUp(2));
  expect((await site.client.failPool("shop", "the gate saw no good answer"))?.phase).toBe("failed");
  expect((await site.client.pool("shop"))?.problem).toBe("the gate saw no good answer");
  const load = startLoad(site.address, spec.listen.port);
  await site.client.retryPool("shop");
  const ids = new Set(before?.members.map(({ id }) => id));
  await poolUntil(site, "shop", (now) => allUp(2)(now) && now!.members.every(({ id }) => !ids.has(id)));
  expect((await load.stop()).failed).toEqual([]);
});

test("demand that returns cancels a take-down, and the members that are left stay", async () => {
  const spec = await poolSpec(site, one, {
    affinity: "cookie",
    sessionIdleMs: 20_000,
    drainTimeoutMs: 20_000,
  });
  await site.client.putPool("shop", spec);
  await poolUntil(site, "shop", allUp(2));
  await settle(spec.listen.port);
  await site.client.deletePool("shop", "test");
  const leaving = await poolUntil(site, "shop", (now) => now?.members.length === 1);
  expect(leaving?.phase).toBe("leaving");
  const kept = leaving?.members[0].id;
  expect((await site.client.putPool("shop", spec)).phase).not.toBe("leaving");
  const after = await poolUntil(site, "shop", allUp(2));
  expect(after?.members.map(({ id }) => id)).toContain(kept);
  await site.client.putPool("shop", { ...spec, drainTimeoutMs: 0 });
});

test("a draining member is ended when its drain timeout has passed, and the event says whom that cut off", async () => {
  const spec = await poolSpec(site, one, {
    members: 1,
    affinity: "cookie",
    sessionIdleMs: 20_000,
    drainTimeoutMs: 400,
  });
  await site.client.putPool("shop", spec);
  await poolUntil(site, "shop", allUp(1));
  await settle(spec.listen.port);
  const { last } = await site.client.events();
  await site.client.deletePool("shop", "test");
  await poolUntil(site, "shop", (now) => now === undefined);
  const ended = (await site.client.events(last)).events.find(({ kind }) => kind === "member-ended");
  expect(ended?.detail).toMatch(
    /^ended with 1 session and 0 requests, because its drain timeout of 400 ms has passed$/,
  );
});

test("a port that another process holds fails the pool without launching anything, until it is free", async () => {
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(0, site.address, resolve));
  const { port } = holder.address() as AddressInfo;
  const spec = await poolSpec(site, one, { listen: { address: site.address, port, mode: "http" } });
  expect((await site.client.putPool("shop", spec)).phase).toBe("failed");
  const failed = await site.client.pool("shop");
  expect(failed?.problem).toMatch(new RegExp(`${port}`));
  expect(processesOf(site.stateDir)).toEqual([]);
  await new Promise((resolve) => holder.close(resolve));
  await site.client.retryPool("shop");
  await poolUntil(site, "shop", allUp(2));
});

test("an address that is not this machine's fails the pool with the reason, and the pool can be taken down", async () => {
  const spec = await poolSpec(site, one, { listen: { address: "203.0.113.1", port: 8080, mode: "http" } });
  expect((await site.client.putPool("shop", spec)).phase).toBe("failed");
  expect((await site.client.pool("shop"))?.problem).toMatch(/203\.0\.113\.1:8080/);
  await site.client.deletePool("shop", spec.owner);
  await poolUntil(site, "shop", (pool) => pool === undefined);
});

test("two pools cannot listen at one place", async () => {
  const spec = await poolSpec(site, one, { members: 1 });
  await site.client.putPool("shop", spec);
  await expect(site.client.putPool("other", spec)).rejects.toMatchObject({
    code: "port-taken",
    message: expect.stringMatching(/pool "shop" listens at .* already/),
  });
});

test("a pool of another owner is never taken over or taken down", async () => {
  const spec = await poolSpec(site, one, { members: 1 });
  await site.client.putPool("shop", spec);
  const other = { ...spec, owner: "somebody else" };
  await expect(site.client.putPool("shop", other)).rejects.toMatchObject({ code: "owned-by-another" });
  await expect(site.client.deletePool("shop", "somebody else")).rejects.toThrow(
    /belongs to "test", not to "somebody else"/,
  );
  expect((await site.client.pool("shop"))?.spec.owner).toBe("test");
});

test("an image that is not there, or only in part, is refused with what is missing", async () => {
  const spec = await poolSpec(site, { path: "", digest: `sha256:${"0".repeat(64)}`, bytes: 0 });
  await expect(site.client.putPool("shop", spec)).rejects.toMatchObject({ code: "image-missing" });
  const big = await makeImage({ dir, version: "big", bytes: 300_000, seed: 7 });
  await site.client.openTransfer("a".repeat(64), { sizeBytes: big.bytes, digest: big.digest });
  await expect(site.client.putPool("shop", { ...spec, image: big.digest })).rejects.toMatchObject({
    code: "image-incomplete",
    message: expect.stringMatching(/only .* of \d+ kB are at site "cloud"/),
  });
  expect(await site.client.pool("shop")).toBeUndefined();
});

test("an image that a pool uses is not deleted, and goes with what was unpacked from it afterwards", async () => {
  const image = await makeImage({ dir, version: "kept" });
  await push(site, image);
  await site.client.putPool("shop", await poolSpec(site, image, { members: 1 }));
  await poolUntil(site, "shop", allUp(1));
  expect((await site.client.image(image.digest))?.usedBy).toEqual(["shop"]);
  await expect(site.client.deleteImage(image.digest)).rejects.toMatchObject({ code: "image-in-use" });
  await site.client.deletePool("shop", "test");
  await poolUntil(site, "shop", (now) => now === undefined);
  await site.client.deleteImage(image.digest);
  await site.client.deleteImage(image.digest);
  expect(await site.client.image(image.digest)).toBeUndefined();
  expect(readdirSync(join(site.stateDir, "unpacked")).join()).not.toContain(image.digest.slice(7));
});

test("a gate's admission is kept with the pool, and told once", async () => {
  await site.client.putPool("shop", await poolSpec(site, one, { members: 1 }));
  const { last } = await site.client.events();
  const gate = { generation: "g1", admittedAt: 1_700_000_000_000 };
  await site.client.putGate("shop", gate);
  await site.client.putGate("shop", gate);
  expect((await site.client.pool("shop"))?.gate).toEqual(gate);
  const opened = (await site.client.events(last)).events.filter(({ kind }) => kind === "gate-opened");
  expect(opened).toHaveLength(1);
});

test("a pool's key marks a gate's probes at its balancer, and is no token", async () => {
  const spec = await poolSpec(site, one, { members: 1 });
  await site.client.putPool("shop", spec);
  const key = (await poolUntil(site, "shop", allUp(1)))?.probeKey ?? "";
  expect(key).toMatch(/^[0-9a-f]{32}$/);
  const before = (await site.client.traffic("shop"))?.requestsTotal ?? NaN;
  const { port } = spec.listen;
  expect(await probe(site.address, port, spec.monitor, key)).toEqual({ good: true });
  expect(await site.client.traffic("shop")).toMatchObject({ requestsTotal: before, sessions: 0 });
  expect(await probe(site.address, port, spec.monitor, undefined)).toEqual({ good: true });
  expect(await site.client.traffic("shop")).toMatchObject({ requestsTotal: before + 1 });
  const answer = await fetch(`${site.endpoint}/v1/context`, { headers: { authorization: `Bearer ${key}` } });
  expect(answer.status).toBe(401);
});

test("a stranger's request keeps no pool from being quiet, and who asks by its name does", async () => {
  const hosts = ["shop.example.test"];
  const spec = await poolSpec(site, one, { members: 1, hosts });
  const before = (await site.client.putPool("shop", spec)).members;
  expect((await poolUntil(site, "shop", allUp(1)))?.spec.hosts).toEqual(hosts);
  expect((await ask(spec.listen.port)).status).toBe(200);
  expect(await site.client.traffic("shop")).toMatchObject({ sessions: 0, requestsTotal: 1 });
  expect((await site.client.traffic("shop"))?.quietMs).toBeGreaterThan(1e12);
  await site.client.putPool("shop", { ...spec, hosts: undefined });
  const { members } = (await poolUntil(site, "shop", allUp(1)))!;
  expect(members.map(({ id }) => id)).toEqual(before.map(({ id }) => id));
  expect((await ask(spec.listen.port)).status).toBe(200);
  expect((await site.client.traffic("shop"))?.quietMs).toBeLessThan(5_000);
});

test("a quiesce holds for its time and is then over", async () => {
  const spec = await poolSpec(site, one, { members: 1 });
  await site.client.putPool("shop", spec);
  await poolUntil(site, "shop", allUp(1));
  const closes = async () =>
    (await fetch(`http://${site.address}:${spec.listen.port}/`)).headers.get("connection");
  expect(await closes()).not.toBe("close");
  const traffic = await site.client.quiesce("shop", { share: 1, forMs: 700, idleCloseMs: 50 });
  expect(traffic).toMatchObject({ members: 1, membersUp: 1 });
  expect(await closes()).toBe("close");
  const left = (await site.client.pool("shop"))?.quiesce;
  expect(left?.share).toBe(1);
  expect(left?.forMs).toBeLessThanOrEqual(700);
  await poolUntil(site, "shop", (now) => now?.quiesce.share === 0);
  await sleep(300);
  expect(await closes()).not.toBe("close");
});

test("a quiesce is told as what it does to users, and only when that changes", async () => {
  await site.client.putPool("shop", await poolSpec(site, one, { members: 1 }));
  await poolUntil(site, "shop", allUp(1));
  const { last } = await site.client.events();
  const orders = [
    { share: 0, forMs: 0 },
    { share: 17 / 67, forMs: 10_000 },
    { share: 0.2541, forMs: 8_000 },
    { share: 1, forMs: 0 },
    { share: 1, forMs: 0 },
    { share: 0, forMs: 0 },
  ];
  for (const order of orders) await site.client.quiesce("shop", { ...order, idleCloseMs: 100 });
  const told = (await site.client.events(last)).events.filter(({ kind }) => kind === "quiesce-changed");
  expect(told.map(({ detail }) => detail)).toEqual([
    "moving 25 % of kept-alive users for 10 s",
    "moving all kept-alive users away",
    "over",
  ]);
});

test("a balancer that is killed comes back with the pool", async () => {
  const spec = await poolSpec(site, one);
  await site.client.putPool("shop", spec);
  await poolUntil(site, "shop", allUp(2));
  const { process: balancer } = JSON.parse(
    readFileSync(join(site.stateDir, "balancer.process.json"), "utf8"),
  ) as { process: { pid: number } };
  process.kill(balancer.pid, "SIGKILL");
  const answers = () =>
    ask(spec.listen.port).then(
      ({ status }) => status === 200,
      () => false,
    );
  for (let look = 0; !(await answers()) && look < 200; look++) await sleep(50);
  expect(await answers()).toBe(true);
  await poolUntil(site, "shop", allUp(2));
  expect(await site.client.traffic("shop")).toMatchObject({ membersUp: 2 });
});

test("a balancer that hangs is replaced, and users are served again within some 5 s", async () => {
  const spec = await poolSpec(site, one);
  await site.client.putPool("shop", spec);
  await poolUntil(site, "shop", allUp(2));
  const { process: balancer } = JSON.parse(
    readFileSync(join(site.stateDir, "balancer.process.json"), "utf8"),
  ) as { process: { pid: number } };
  process.kill(balancer.pid, "SIGSTOP");
  const since = Date.now();
  const answers = () =>
    fetch(`http://${site.address}:${spec.listen.port}/`, { signal: AbortSignal.timeout(500) }).then(
      ({ status }) => status === 200,
      () => false,
    );
  while (!(await answers()) && Date.now() - since < 15_000) await sleep(50);
  expect(Date.now() - since).toBeLessThan(7_000);
  await poolUntil(site, "shop", allUp(2));
}, 30_000);

test("a change of the claim alone changes nothing else", async () => {
  const spec = await poolSpec(site, one, { members: 1, claim: "first" });
  await site.client.putPool("shop", spec);
  const before = await poolUntil(site, "shop", allUp(1));
  const after = await site.client.putPool("shop", { ...spec, claim: "second" });
  expect(after.spec.claim).toBe("second");
  expect(after.members).toEqual(before?.members);
});

test("many who change a pool at once leave it as one of them asked, with nothing over", async () => {
  const spec = await poolSpec(site, one);
  await site.client.putPool("shop", spec);
  const changes = Array.from({ length: 40 }, async (_, n) => {
    await sleep(n * 10);
    if (n % 5 === 4) return site.client.deletePool("shop", "test");
    if (n % 5 === 3) return site.client.retryPool("shop");
    return site.client.putPool("shop", {
      ...spec,
      members: 1 + (n % 4),
      image: n % 2 ? one.digest : two.digest,
    });
  });
  await Promise.all(changes);
  await site.client.putPool("shop", { ...spec, members: 2 });
  const status = await poolUntil(
    site,
    "shop",
    (now) => allUp(2)(now) && now!.members.every(({ image }) => image === one.digest),
  );
  expect(processesOf(site.stateDir)).toHaveLength(2);
  expect(status?.members).toHaveLength(2);
});
