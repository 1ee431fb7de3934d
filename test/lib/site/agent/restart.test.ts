import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PoolStatus } from "../../../../lib/site/api";
import { startAgent } from "../../../../lib/site/agent";
import { sleep } from "../../../../lib/wait";
import { clearSite, localPorts } from "../../../../providers/local";
import { startLoad } from "../../../support/load";
import {
  type MadeImage,
  type TestSiteProcess,
  allUp,
  makeImage,
  poolSpec,
  poolUntil,
  processesOf,
  push,
  startSiteProcess,
} from "../../../support/site";

let dir: string;
let site: TestSiteProcess;
let one: MadeImage;
let two: MadeImage;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "spillway-restart-"));
  [one, two] = await Promise.all([makeImage({ dir, version: "1" }), makeImage({ dir, version: "2" })]);
});

beforeEach(async () => {
  site = await startSiteProcess({ site: "cloud", nameServer: true });
  await push(site, one);
});

afterEach(async () => {
  await site.close();
  expect(processesOf(dirOf(site))).toEqual([]);
});

afterAll(() => rmSync(dir, { recursive: true, force: true }));

function dirOf({ stateDir }: TestSiteProcess): string {
  return join(stateDir, "..");
}

function idsOf(status: PoolStatus | undefined): string[] {
  return (status?.members.map(({ id }) => id) ?? []).sort();
}

test("kill -9 of the agent takes no user with it; the next one takes up the members that run", async () => {
  const spec = await poolSpec(site, one);
  await site.client.putPool("shop", spec);
  const before = await poolUntil(site, "shop", allUp(2));
  const pids = processesOf(site.stateDir);
  const { last } = await site.client.events();
  const load = startLoad(site.address, spec.listen.port);
  await site.kill();
  await sleep(300);
  await site.restart();
  const after = await site.client.pool("shop");
  expect(after?.phase).toBe("ready");
  await sleep(100);
  expect((await load.stop()).failed).toEqual([]);
  expect(idsOf(after)).toEqual(idsOf(before));
  expect(processesOf(site.stateDir)).toEqual(pids);
  const { events } = await site.client.events(last);
  expect(events.map(({ kind }) => kind)).toEqual(["member-adopted", "member-adopted", "agent-started"]);
});

test("a member that died while no agent ran is launched again", async () => {
  await site.client.putPool("shop", await poolSpec(site, one));
  const before = await poolUntil(site, "shop", allUp(2));
  await site.kill();
  for (const pid of processesOf(site.stateDir, idsOf(before)[0])) process.kill(pid, "SIGKILL");
  await site.restart();
  const after = await poolUntil(site, "shop", allUp(2));
  expect(idsOf(after)).toEqual(idsOf(before));
  expect(processesOf(site.stateDir)).toHaveLength(2);
});

test("a take-down that was under way goes on after a restart", async () => {
  const spec = await poolSpec(site, one, { members: 3 });
  await site.client.putPool("shop", spec);
  await poolUntil(site, "shop", allUp(3));
  await site.client.deletePool("shop", "test");
  await site.kill();
  await site.restart();
  await poolUntil(site, "shop", (status) => status === undefined);
  expect(processesOf(site.stateDir)).toEqual([]);
  await expect(fetch(`http://${site.address}:${spec.listen.port}/`)).rejects.toThrow();
});

test("a replacement that was under way goes on after a restart, without a failed request", async () => {
  await push(site, two);
  const spec = await poolSpec(site, one);
  await site.client.putPool("shop", spec);
  await poolUntil(site, "shop", allUp(2));
  const load = startLoad(site.address, spec.listen.port);
  await site.client.putPool("shop", { ...spec, image: two.digest });
  await sleep(150);
  await site.kill();
  await site.restart();
  await poolUntil(
    site,
    "shop",
    (now) => allUp(2)(now) && now!.members.every(({ image }) => image === two.digest),
  );
  expect((await load.stop()).failed).toEqual([]);
  expect(processesOf(site.stateDir)).toHaveLength(2);
});

test("gate, quiesce, failure and records outlive the agent, and a quiesce still ends at its time", async () => {
  await site.client.putPool("shop", await poolSpec(site, one, { members: 1 }));
  await poolUntil(site, "shop", allUp(1));
  await site.client.putGate("shop", { generation: "g1", admittedAt: 5 });
  await site.client.quiesce("shop", { share: 0.5, forMs: 1_500, idleCloseMs: 100 });
  await site.client.failPool("shop", "marked by the test");
  const record = await site.client.putRecord("shop.example.test", {
    owner: "test",
    ttlSeconds: 5,
    answers: [{ site: "cloud", address: "127.0.0.1", weight: 100 }],
  });
  await site.kill();
  await site.restart();
  const status = await site.client.pool("shop");
  expect(status).toMatchObject({
    phase: "failed",
    problem: "marked by the test",
    gate: { generation: "g1", admittedAt: 5 },
    quiesce: { share: 0.5, idleCloseMs: 100 },
  });
  expect(status?.quiesce.forMs).toBeLessThan(1_500);
  expect(await site.client.record("shop.example.test")).toEqual(record);
  await poolUntil(site, "shop", (now) => now?.quiesce.share === 0);
});

test("a second agent in the same state directory is refused, and says who holds it", async () => {
  const second = startAgent({
    site: "cloud",
    stateDir: site.stateDir,
    listen: { host: "127.0.0.1", port: 0 },
    token: "another-token-of-some-length",
    ports: localPorts({ stateDir: site.stateDir }),
  });
  await expect(second).rejects.toThrow(
    new RegExp(`another agent works in this state directory: process ${site.pid()}`),
  );
  expect((await site.client.health()).site).toBe("cloud");
});

test("clearing a site ends its agent and all that runs there, and may be repeated", async () => {
  const spec = await poolSpec(site, one);
  await site.client.putPool("shop", spec);
  await poolUntil(site, "shop", allUp(2));
  await clearSite(site.stateDir);
  expect(processesOf(site.stateDir)).toEqual([]);
  await expect(fetch(`http://${site.address}:${spec.listen.port}/`)).rejects.toThrow();
  await expect(fetch(`${site.endpoint}/v1/health`)).rejects.toThrow();
  await clearSite(site.stateDir);
});

test("a state file that is damaged, or another site's, is refused and left as it is", async () => {
  await site.kill();
  const path = join(site.stateDir, "state.json");
  const good = readFileSync(path, "utf8");
  writeFileSync(path, good.slice(0, good.length / 2));
  await expect(site.restart()).rejects.toThrow(/the agent's state cannot be read.*Restore the file/s);
  writeFileSync(path, good.replace('"site": "cloud"', '"site": "onprem"'));
  await expect(site.restart()).rejects.toThrow(/is of site "onprem", not of "cloud"/);
  writeFileSync(path, good);
  await site.restart();
});

test("the token stands in no file of the state directory and in no line of the log", async () => {
  await site.client.putPool("shop", await poolSpec(site, one));
  await poolUntil(site, "shop", allUp(2));
  const found = execFileSync("sh", ["-c", `grep -rl '${site.token}' '${site.stateDir}' || true`], {
    encoding: "utf8",
  });
  expect(found).toBe("");
  expect(site.log()).not.toContain(site.token);
  expect(site.log()).toMatch(/member-launched/);
});
