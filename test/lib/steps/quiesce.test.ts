import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AbortedError, DeadlineError } from "../../../lib/errors";
import type { PoolSpec } from "../../../lib/site/api";
import { SiteDirectory, SiteError } from "../../../lib/site/client";
import { siphonUsers, type SiphonRequest } from "../../../lib/steps";
import { LocalBalancer } from "../../../providers/local/balancer";
import { allUp, makeImage, poolSpec, poolUntil, push, startSiteProcess } from "../../support/site";
import type { MadeImage, TestSiteProcess } from "../../support/site";
import { directoryOf, heard, listener, thrownBy, User } from "./support/steps";

let site: TestSiteProcess;
let sites: SiteDirectory;
let image: MadeImage;
const folder = mkdtempSync(join(tmpdir(), "spillway-quiesce-"));
const users: User[] = [];
let count = 0;

beforeAll(async () => {
  image = await makeImage({ dir: folder });
  site = await startSiteProcess({ nameServer: true });
  sites = directoryOf(site);
  await push(site, image);
}, 60_000);

afterEach(() => users.splice(0).forEach((user) => user.leave()));

afterAll(async () => {
  sites?.close();
  await site?.close();
  rmSync(folder, { recursive: true });
});

async function admitted(changes: Partial<PoolSpec> = {}): Promise<{ name: string; spec: PoolSpec }> {
  const name = `shop-${++count}`;
  const spec = await poolSpec(site, image, { members: 1, ...changes });
  await site.client.putPool(name, spec);
  await poolUntil(site, name, allUp(1));
  await site.client.putGate(name, { generation: "g1", admittedAt: Date.now() });
  return { name, spec };
}

function closing(name: string, changes: Partial<SiphonRequest> = {}): SiphonRequest {
  const times = { quietPeriodMs: 600, recordTtlMs: 0, deadlineMs: 10_000 };
  return { site: "cloud", name, generation: "g1", onDeadline: "hold", ...times, ...changes };
}

function userOf(spec: PoolSpec): User {
  const user = new User(spec.listen);
  users.push(user);
  return user;
}

test("a pool without users is quiet after the quiet period, and not before", async () => {
  const { name } = await admitted();
  const started = Date.now();
  await siphonUsers(sites, closing(name), listener());
  expect(Date.now() - started).toBeGreaterThanOrEqual(600);
});

test("stale answers are waited for even if nobody is there, and then the quiet period", async () => {
  const { name } = await admitted();
  const started = Date.now();
  const context = listener();
  await siphonUsers(sites, closing(name, { recordTtlMs: 1_500 }), context);
  expect(Date.now() - started).toBeGreaterThanOrEqual(1_500 + 600);
  expect(context.said.some(({ message }) => message.includes("stale answers may live"))).toBe(true);
});

test("it does not end while one user keeps coming, and ends a quiet period after the last one left", async () => {
  const { name, spec } = await admitted();
  const user = userOf(spec);
  let last = 0;
  let comes = true;
  const coming = (async () => {
    while (comes) {
      expect((await user.get()).status).toBe(200);
      last = Date.now();
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  })();
  const context = listener();
  const closed = siphonUsers(sites, closing(name, { quietPeriodMs: 2_000 }), context).then(() => Date.now());
  await heard(context, /waiting for 1 session to leave/);
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  comes = false;
  await coming;
  expect((await closed) - last).toBeGreaterThanOrEqual(2_000);
}, 20_000);

test("a name server that checks the site every moment keeps no gate open: it asks for another host", async () => {
  const { name, spec } = await admitted({ hosts: ["shop.example.test"] });
  const checking = setInterval(() => {
    const url = `http://${spec.listen.address}:${spec.listen.port}/`;
    fetch(url, { headers: { connection: "close" } }).catch(() => undefined);
  }, 150);
  try {
    await siphonUsers(sites, closing(name), listener());
  } finally {
    clearInterval(checking);
  }
}, 20_000);

test("users who keep a connection are asked to leave with their next answer", async () => {
  const { name, spec } = await admitted();
  const user = userOf(spec);
  expect((await user.get()).askedToLeave).toBe(false);
  const context = listener();
  const closed = siphonUsers(sites, closing(name), context);
  await heard(context, /./);
  expect((await user.get()).askedToLeave).toBe(true);
  user.leave();
  await closed;
});

test("at the deadline a gate that holds takes nothing down, and users keep being asked to leave", async () => {
  const { name, spec } = await admitted();
  const request = userOf(spec).get("/slow?ms=3000");
  const error = await thrownBy(siphonUsers(sites, closing(name, { deadlineMs: 700 }), listener()));
  expect(error).toBeInstanceOf(DeadlineError);
  expect(error.message).toMatch(
    /waited .* for the last user to leave; last seen: waiting for 1 session to leave/,
  );
  expect((await site.client.pool(name))?.quiesce.share).toBe(1);
  expect((await site.client.pool(name))?.phase).toBe("ready");
  expect((await request).status).toBe(200);
});

test("at the deadline a gate that forces lets the take-down begin", async () => {
  const { name, spec } = await admitted();
  const request = userOf(spec).get("/slow?ms=2000");
  const context = listener();
  await siphonUsers(sites, closing(name, { deadlineMs: 700, onDeadline: "force" }), context);
  expect(context.said.at(-1)?.message).toContain("users who are still there are cut off");
  await request;
});

test("an abort leaves the pool serving, with nobody asked to leave any more", async () => {
  const { name, spec } = await admitted();
  const user = userOf(spec);
  await user.get();
  const context = listener();
  const closed = thrownBy(siphonUsers(sites, closing(name, { quietPeriodMs: 60_000 }), context));
  await heard(context, /./);
  expect((await site.client.pool(name))?.quiesce.share).toBe(1);
  context.stop();
  const error = await closed;
  expect(error).toBeInstanceOf(AbortedError);
  expect(error.message).toContain("nothing was taken down");
  expect((await site.client.pool(name))?.quiesce.share).toBe(0);
  expect((await site.client.pool(name))?.phase).toBe("ready");
  expect((await userOf(spec).get()).askedToLeave).toBe(false);
});

test("users are asked again if someone else has told them to stay", async () => {
  const { name } = await admitted();
  const context = listener();
  const closed = thrownBy(siphonUsers(sites, closing(name, { quietPeriodMs: 60_000 }), context));
  await heard(context, /./);
  await site.client.quiesce(name, { share: 0, forMs: 0, idleCloseMs: 0 });
  await poolUntil(site, name, (status) => status?.quiesce.share === 1, 5_000);
  context.stop();
  await closed;
});

test("a gate that another has replaced has nothing left to close", async () => {
  const { name } = await admitted();
  await site.client.putGate(name, { generation: "g2", admittedAt: Date.now() });
  const started = Date.now();
  await siphonUsers(sites, closing(name, { quietPeriodMs: 60_000 }), listener());
  expect(Date.now() - started).toBeLessThan(2_000);
  expect((await site.client.pool(name))?.quiesce.share).toBe(0);
});

test("a gate whose pool is gone is closed", async () => {
  await siphonUsers(sites, closing("nowhere"), listener());
});

test("a gate does not close while a record still answers with its pool, and says which", async () => {
  const { name } = await admitted();
  const answers = [{ site: "cloud", address: "127.0.0.1", weight: 100, pool: `cloud/${name}` }];
  await site.client.putRecord("shop.example.test", { owner: "test", ttlSeconds: 1, answers });
  const error = await thrownBy(siphonUsers(sites, closing(name), listener()));
  expect(error.message).toMatch(/the record "shop\.example\.test" answers with it.*create_before_destroy/);
  expect((await site.client.pool(name))?.quiesce.share).toBe(0);
  await site.client.deleteRecord("shop.example.test", "test");
});

test("an agent that dies in the middle is waited for: unreachable is not empty", async () => {
  const { name, spec } = await admitted();
  const user = userOf(spec);
  await user.get();
  const context = listener();
  const closed = siphonUsers(
    sites,
    closing(name, { quietPeriodMs: 1_000, deadlineMs: 20_000 }),
    context,
  ).then(() => Date.now());
  await heard(context, /quiet still to come|waiting for/);
  await site.kill();
  await heard(context, /cannot be asked who is left/);
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  const back = Date.now();
  await site.restart();
  expect(await closed).toBeGreaterThan(back + 900);
}, 30_000);

test("an agent that is silent from the first look on is waited for, and nothing is taken for gone", async () => {
  const { name } = await admitted();
  const brief = closing(name, { deadlineMs: 1_500 });
  await site.kill();
  try {
    const error = await thrownBy(siphonUsers(sites, brief, listener()));
    expect(error).toBeInstanceOf(DeadlineError);
    expect(error.message).toMatch(/last seen: the agent of site cloud cannot be asked now/);
    const context = listener();
    const closed = siphonUsers(sites, closing(name, { deadlineMs: 20_000 }), context).then(() => Date.now());
    await heard(context, /cannot be asked now/);
    const back = Date.now();
    await site.restart();
    expect(await closed).toBeGreaterThan(back + 600);
  } finally {
    if (!(await site.client.health({ retryBudgetMs: 0 }).catch(() => undefined))) await site.restart();
  }
}, 40_000);

test("users who are still there are cut off at the deadline with force, even if the agent never said a word", async () => {
  const { name } = await admitted();
  await site.kill();
  try {
    const context = listener();
    await siphonUsers(sites, closing(name, { deadlineMs: 500, onDeadline: "force" }), context);
    expect(context.said.at(-1)?.message).toMatch(/the deadline has passed/);
  } finally {
    await site.restart();
  }
}, 30_000);

describe("another site", () => {
  const directory = (endpoint: string, tokenFile: string) =>
    new SiteDirectory(
      { cloud: { endpoint: site.endpoint, tokenFile: site.tokenFile }, other: { endpoint, tokenFile } },
      { retryBudgetMs: 0 },
    );

  test("that is silent may direct users to the pool: nobody is asked to leave, and nothing closes before it answers", async () => {
    const { name } = await admitted();
    const other = await startSiteProcess({ site: "other", nameServer: true });
    const both = directory(other.endpoint, other.tokenFile);
    try {
      const answers = [{ site: "cloud", address: "127.0.0.1", weight: 100, pool: `cloud/${name}` }];
      await other.client.putRecord("shop.example.test", { owner: "test", ttlSeconds: 1, answers });
      await other.kill();
      const context = listener();
      const closed = thrownBy(siphonUsers(both, closing(name, { deadlineMs: 30_000 }), context));
      await heard(context, /the agent of site other cannot be asked whether it still directs users here/);
      expect((await site.client.pool(name))?.quiesce.share).toBe(0);
      await other.restart();
      expect((await closed).message).toMatch(/the record "shop\.example\.test" answers with it/);
      await other.client.deleteRecord("shop.example.test", "test");
      await siphonUsers(both, closing(name), listener());
    } finally {
      both.close();
      await other.close();
    }
  }, 40_000);

  test("whose balancer is silent says all the same whom its name server directs", async () => {
    const { name } = await admitted();
    const other = await startSiteProcess({ site: "other", nameServer: true });
    const both = directory(other.endpoint, other.tokenFile);
    try {
      await push(other, image);
      await other.client.putPool("theirs", await poolSpec(other, image, { members: 1 }));
      await poolUntil(other, "theirs", allUp(1));
      process.kill((await new LocalBalancer({ stateDir: other.stateDir }).health()).pid, "SIGSTOP");
      await siphonUsers(both, closing(name, { deadlineMs: 4_000 }), listener());
    } finally {
      both.close();
      await other.close();
    }
  }, 30_000);

  test("that hangs ends the wait at its deadline, and with force is not asked", async () => {
    const { name } = await admitted();
    const silent = createServer((socket) => socket.resume());
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const { port } = silent.address() as AddressInfo;
    const both = directory(`http://127.0.0.1:${port}`, site.tokenFile);
    const error = await thrownBy(siphonUsers(both, closing(name, { deadlineMs: 1_000 }), listener()));
    expect(error).toBeInstanceOf(DeadlineError);
    expect(error.message).toMatch(/the agent of site other cannot be asked/);
    await siphonUsers(both, closing(name, { onDeadline: "force" }), listener());
    both.close();
    await new Promise((resolve) => silent.close(resolve));
  }, 30_000);

  test("that refuses the token has not said that nobody is sent to the pool", async () => {
    const { name } = await admitted();
    const wrong = join(folder, "wrong-token");
    writeFileSync(wrong, "another\n");
    const both = directory(site.endpoint, wrong);
    const error = await thrownBy(siphonUsers(both, closing(name), listener()));
    expect(error).toBeInstanceOf(SiteError);
    expect(error.message).toMatch(/the agent of site "other" refused the token/);
    both.close();
  });
});
