import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { AbortedError } from "../../../lib/errors";
import type { PoolSpec, RecordAnswer } from "../../../lib/site/api";
import { SiteDirectory } from "../../../lib/site/client";
import { directUsers, findRecord, removeRecord, type DirectRequest } from "../../../lib/steps";
import { answersAt } from "../../../lib/steps/direct/ramp";
import { allUp, makeImage, poolSpec, poolUntil, processesOf, push, startSite } from "../../support/site";
import type { MadeImage, TestSite } from "../../support/site";
import { directoryOf, heard, listener, thrownBy, User } from "./support/steps";

let home: TestSite;
let cloud: TestSite;
let sites: SiteDirectory;
let image: MadeImage;
const folder = mkdtempSync(join(tmpdir(), "spillway-record-"));
const specs: Record<string, PoolSpec> = {};
let count = 0;

beforeAll(async () => {
  image = await makeImage({ dir: folder });
  home = await startSite({ site: "onprem", address: "127.0.1.1", nameServer: true });
  cloud = await startSite({ site: "cloud", address: "127.0.2.1" });
  sites = directoryOf(home, cloud);
  for (const site of [home, cloud]) {
    await push(site, image);
    const spec = await poolSpec(site, image);
    specs[site.site] = spec;
    await site.client.putPool("shop", spec);
  }
  for (const site of [home, cloud]) await poolUntil(site, "shop", allUp(2));
}, 60_000);

afterAll(async () => {
  sites?.close();
  await home?.close();
  await cloud?.close();
  rmSync(folder, { recursive: true });
});

function answers(onprem: number, inCloud = 100 - onprem): RecordAnswer[] {
  return [
    { site: "onprem", address: "127.0.1.1", weight: onprem, pool: "onprem/shop" },
    { site: "cloud", address: "127.0.2.1", weight: inCloud, pool: "cloud/shop" },
  ].filter(({ weight }) => weight > 0);
}

function request(set: readonly RecordAnswer[], changes: Partial<DirectRequest> = {}): DirectRequest {
  const spec = { owner: "test", ttlSeconds: 1, answers: set };
  return { name: `shop-${count}.example.test`, nameServer: "onprem", spec, ...changes };
}

beforeEach(() => void (count += 1));

async function weights(): Promise<Record<string, number>> {
  const name = `shop-${count}.example.test`;
  const found = await findRecord(sites, { nameServer: "onprem", name }, listener());
  return Object.fromEntries((found?.spec.answers ?? []).map(({ site, weight }) => [site, weight]));
}

test("a name is answered with its weights, and the same again changes nothing", async () => {
  const first = await directUsers(sites, request(answers(70)), listener());
  expect(await weights()).toEqual({ onprem: 70, cloud: 30 });
  const second = await directUsers(sites, request(answers(70)), listener());
  expect(second).toEqual(first);
});

test("when a site's share falls, as many choose anew as it takes, once the old answers have left the caches", async () => {
  await directUsers(sites, request(answers(80)), listener());
  await directUsers(sites, request(answers(20)), listener());
  const order = (await home.client.pool("shop"))?.quiesce;
  // Of 15 in 16 who choose anew, 1 in 5 comes back.
  expect(order).toMatchObject({ share: 0.9375, once: true });
  expect(order?.afterMs).toBeGreaterThan(1_000);
  expect(order?.afterMs).toBeLessThanOrEqual(1_500);
  expect((await cloud.client.pool("shop"))?.quiesce.share).toBe(0);
});

test("a site that is left out has all its users moved, and has them back when it is taken in again", async () => {
  await directUsers(sites, request(answers(50)), listener());
  await directUsers(sites, request(answers(100)), listener());
  expect((await cloud.client.pool("shop"))?.quiesce).toMatchObject({ share: 1 });
  const user = new User((specs["cloud"] as PoolSpec).listen);
  expect((await user.get()).askedToLeave).toBe(false);
  await new Promise((resolve) => setTimeout(resolve, 1_600));
  expect((await user.get()).askedToLeave).toBe(true);
  await cloud.client.quiesce("shop", { share: 1, forMs: 0, idleCloseMs: 1_000 });
  await directUsers(sites, request(answers(50)), listener());
  expect((await cloud.client.pool("shop"))?.quiesce.share).toBe(0);
  expect((await user.get()).askedToLeave).toBe(false);
  user.leave();
});

test("the pools of the prior declaration are moved even if the name server does not know them", async () => {
  const plain = answers(50).map(({ site, address, weight }) => ({ site, address, weight }));
  const first = request(plain);
  await directUsers(sites, first, listener());
  await directUsers(
    sites,
    {
      ...first,
      spec: { ...first.spec, answers: [plain[0]!].map((a) => ({ ...a, weight: 100 })) },
      prior: answers(50),
    },
    listener(),
  );
  expect((await cloud.client.pool("shop"))?.quiesce.share).toBe(1);
});

test("users are not directed to a pool that is not there", async () => {
  const set = answers(50).map((answer) => ({ ...answer, pool: `${answer.site}/shopp` }));
  const error = await thrownBy(directUsers(sites, request(set), listener()));
  expect(error.message).toMatch(
    /users would be directed to pool "(onprem|cloud)\/shopp", which is not there/,
  );
  expect(await weights()).toEqual({});
});

test("a record of another owner is neither changed nor removed", async () => {
  const mine = request(answers(70));
  await directUsers(sites, mine, listener());
  const theirs = { ...mine, spec: { ...mine.spec, owner: "another" } };
  expect((await thrownBy(directUsers(sites, theirs, listener()))).message).toMatch(/belongs to "test"/);
  const remove = removeRecord(sites, { name: mine.name, nameServer: "onprem", owner: "another" }, listener());
  expect((await thrownBy(remove)).message).toMatch(/belongs to "test"/);
  expect(await weights()).toEqual({ onprem: 70, cloud: 30 });
  await removeRecord(sites, { name: mine.name, nameServer: "onprem", owner: "test" }, listener());
  await removeRecord(sites, { name: mine.name, nameServer: "onprem", owner: "test" }, listener());
  expect(await weights()).toEqual({});
});

test("a site without a name server cannot answer", async () => {
  const error = await thrownBy(directUsers(sites, request(answers(50), { nameServer: "cloud" }), listener()));
  expect(error.message).toMatch(/name server/);
});

const ramp = { stepsPercent: [10, 50], intervalMs: 300, abortAboveFailed: 0 };

test("a ramp goes up in steps and ends at the weights asked for", async () => {
  await directUsers(sites, request(answers(100)), listener());
  const context = listener();
  await directUsers(sites, request(answers(60), { ramp }), context);
  expect(
    context.said.map(({ message }) => message).filter((message) => message.startsWith("answers")),
  ).toEqual([
    "answers onprem 96 %, cloud 4 %",
    "answers onprem 80 %, cloud 20 %",
    "answers onprem 60 %, cloud 40 %",
  ]);
  expect(await weights()).toEqual({ onprem: 60, cloud: 40 });
});

test("a ramp goes home in steps as well", async () => {
  await directUsers(sites, request(answers(60)), listener());
  const context = listener();
  await directUsers(sites, request(answers(100), { ramp }), context);
  expect(context.said.filter(({ message }) => message.startsWith("answers"))).toHaveLength(3);
  expect(await weights()).toEqual({ onprem: 100 });
});

test("an abort in the middle of a ramp puts the previous weights back", async () => {
  await directUsers(sites, request(answers(100)), listener());
  const context = listener();
  const slow = { ...ramp, intervalMs: 60_000 };
  const done = thrownBy(directUsers(sites, request(answers(60), { ramp: slow }), context));
  await heard(context, /10 % of the way/);
  expect(await weights()).toEqual({ onprem: 96, cloud: 4 });
  context.stop();
  expect(await done).toBeInstanceOf(AbortedError);
  expect(await weights()).toEqual({ onprem: 100 });
});

test("a member that goes down at the raised site ends the ramp, and the previous weights are back", async () => {
  await directUsers(sites, request(answers(100)), listener());
  const context = listener();
  const slow = { ...ramp, intervalMs: 60_000 };
  const done = thrownBy(directUsers(sites, request(answers(60), { ramp: slow }), context));
  await heard(context, /10 % of the way/);
  const [member] = (await cloud.client.pool("shop"))?.members ?? [];
  for (const pid of processesOf(cloud.stateDir, member?.id)) process.kill(pid, "SIGKILL");
  expect((await done).message).toMatch(
    /the ramp was given up, because of cloud\/shop: 1 of its 2 members went down/,
  );
  expect(await weights()).toEqual({ onprem: 100 });
  await poolUntil(cloud, "shop", allUp(2));
}, 30_000);

test("a ramp whose users cannot be moved puts the previous weights back: the record was changed before them", async () => {
  await directUsers(sites, request(answers(60)), listener());
  const wrong = join(folder, "wrong-token");
  writeFileSync(wrong, "another\n");
  const half = new SiteDirectory({
    onprem: { endpoint: home.endpoint, tokenFile: home.tokenFile },
    cloud: { endpoint: cloud.endpoint, tokenFile: wrong },
  });
  const before = await findRecord(sites, { ...request([]), name: `shop-${count}.example.test` }, listener());
  const error = await thrownBy(directUsers(half, request(answers(100), { ramp }), listener()));
  half.close();
  expect(error.message).toMatch(/^the agent of site "cloud" refused the token/);
  expect(await weights()).toEqual({ onprem: 60, cloud: 40 });
  const after = await findRecord(sites, { ...request([]), name: `shop-${count}.example.test` }, listener());
  expect(after?.serial).toBeGreaterThan(before?.serial ?? 0);
});

test("a ramp of another's record is refused as such, with nothing to put back", async () => {
  await directUsers(sites, request(answers(60)), listener());
  const theirs = request(answers(100), { ramp });
  const spec = { ...theirs.spec, owner: "another" };
  const error = await thrownBy(directUsers(sites, { ...theirs, spec }, listener()));
  expect(error.message).toMatch(/^the record "shop-\d+\.example\.test" belongs to "test"/);
  expect(await weights()).toEqual({ onprem: 60, cloud: 40 });
});

test("the weights on the way add up to 100 at every percent, and begin and end where asked", () => {
  const set = fc.uniqueArray(fc.constantFrom("a", "b", "c", "d"), { minLength: 1 }).chain((names) =>
    fc
      .array(fc.integer({ min: 1, max: 60 }), { minLength: names.length, maxLength: names.length })
      .map((parts) => {
        const sum = parts.reduce((total, part) => total + part, 0);
        const whole = parts.map((part) => Math.max(1, Math.floor((part * 100) / sum)));
        whole[0] = (whole[0] ?? 0) + 100 - whole.reduce((total, part) => total + part, 0);
        return names.map((site, at) => ({ site, address: `${site}.example.test`, weight: whole[at] ?? 0 }));
      }),
  );
  fc.assert(
    fc.property(set, set, fc.integer({ min: 0, max: 100 }), (from, to, percent) => {
      const on = answersAt(from, to, percent);
      expect(on.reduce((total, { weight }) => total + weight, 0)).toBe(100);
      expect(on.every(({ weight }) => weight >= 1)).toBe(true);
      const plain = (answers: readonly RecordAnswer[]) =>
        new Map(answers.map(({ site, weight }) => [site, weight]));
      if (percent === 0) expect(plain(on)).toEqual(plain(from));
      if (percent === 100) expect(plain(on)).toEqual(plain(to));
    }),
  );
});
