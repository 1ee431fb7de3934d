import { readFileSync } from "node:fs";
import { Resolver } from "node:dns/promises";
import { join } from "node:path";
import type { RecordSpec } from "../../../../lib/site/api";
import { sleep } from "../../../../lib/wait";
import { type TestSite, startSite } from "../../../support/site";

let site: TestSite;
const resolver = new Resolver({ timeout: 500, tries: 2 });

beforeAll(async () => {
  site = await startSite({ site: "onprem", nameServer: true });
  resolver.setServers([site.nameServer as string]);
});

afterAll(() => site?.close());

const NAME = "shop.example.test";

function spec(weights: Record<string, number>, changes: Partial<RecordSpec> = {}): RecordSpec {
  const addresses: Record<string, string> = { onprem: "127.0.1.1", cloud: "127.0.2.1" };
  return {
    owner: "test",
    ttlSeconds: 2,
    answers: Object.entries(weights).map(([name, weight]) => ({
      site: name,
      address: addresses[name],
      weight,
    })),
    ...changes,
  };
}

test("a record is answered, changed and removed", async () => {
  const first = await site.client.putRecord(NAME, spec({ onprem: 100 }));
  expect(await resolver.resolve4(NAME, { ttl: true })).toEqual([{ address: "127.0.1.1", ttl: 2 }]);
  const second = await site.client.putRecord(NAME, spec({ cloud: 100 }));
  expect(second.serial).toBeGreaterThan(first.serial);
  expect(await resolver.resolve4(NAME)).toEqual(["127.0.2.1"]);
  expect(await site.client.record(NAME.toUpperCase())).toEqual(second);
  await site.client.deleteRecord(NAME, "test");
  expect(await site.client.record(NAME)).toBeUndefined();
  await expect(resolver.resolve4(NAME)).rejects.toThrow();
});

test("the same record again is no change", async () => {
  const first = await site.client.putRecord(NAME, spec({ onprem: 60, cloud: 40 }));
  const { last } = await site.client.events();
  expect(await site.client.putRecord(NAME, spec({ onprem: 60, cloud: 40 }))).toEqual(first);
  expect((await site.client.events(last)).events).toEqual([]);
});

test("a record of another owner is neither changed nor removed", async () => {
  await site.client.putRecord(NAME, spec({ onprem: 100 }));
  await expect(site.client.putRecord(NAME, spec({ cloud: 100 }, { owner: "other" }))).rejects.toMatchObject({
    code: "owned-by-another",
  });
  await expect(site.client.deleteRecord(NAME, "other")).rejects.toThrow(/belongs to "test", not to "other"/);
  expect(await resolver.resolve4(NAME)).toEqual(["127.0.1.1"]);
});

test.each([
  [
    "weights that do not add up",
    spec({ onprem: 60, cloud: 60 }),
    /add up to 100, got onprem 60 \+ cloud 60 = 120/,
  ],
  [
    "a weight of 0",
    spec({ onprem: 100, cloud: 0 }),
    /`answers\[1\].weight` must be 1 to 100, got 0: .* left out, never 0/,
  ],
  [
    "a CNAME beside an A",
    spec(
      {},
      {
        answers: [
          { site: "a", address: "192.0.2.1", weight: 50 },
          { site: "b", address: "b.example.net", weight: 50 },
        ],
      },
    ),
    /of one type.*a 192\.0\.2\.1 \(A\), b b\.example\.net \(CNAME\)/,
  ],
  [
    "an AAAA beside an A",
    spec(
      {},
      {
        answers: [
          { site: "a", address: "192.0.2.1", weight: 50 },
          { site: "b", address: "2001:db8::1", weight: 50 },
        ],
      },
    ),
    /of one type/,
  ],
  [
    "a site twice",
    spec(
      {},
      {
        answers: [
          { site: "a", address: "192.0.2.1", weight: 50 },
          { site: "a", address: "192.0.2.2", weight: 50 },
        ],
      },
    ),
    /`answers\[1\].site` must be given once, got "a" again/,
  ],
  ["no answer", spec({}), /at least 1, got 0/],
  [
    "a mistyped address",
    spec({}, { answers: [{ site: "a", address: "192.0.2.256", weight: 100 }] }),
    /got "192.0.2.256"/,
  ],
])("%s is refused and changes nothing", async (_, wrong, expected) => {
  await site.client.putRecord(NAME, spec({ onprem: 100 }));
  const before = await site.client.record(NAME);
  await expect(site.client.putRecord(NAME, wrong)).rejects.toThrow(expected);
  expect(await site.client.record(NAME)).toEqual(before);
});

test("two changes at once leave one of them, whole", async () => {
  await Promise.all([
    site.client.putRecord(NAME, spec({ onprem: 100 })),
    site.client.putRecord(NAME, spec({ cloud: 100 })),
  ]);
  const kept = await site.client.record(NAME);
  expect([["onprem"], ["cloud"]]).toContainEqual(kept?.spec.answers.map((answer) => answer.site));
  expect(await resolver.resolve4(NAME)).toEqual(kept?.spec.answers.map(({ address }) => address));
});

test("a name server that is killed answers again, by itself", async () => {
  await site.client.putRecord(NAME, spec({ cloud: 100 }));
  const { process: server } = JSON.parse(
    readFileSync(join(site.stateDir, "name-server.process.json"), "utf8"),
  ) as { process: { pid: number } };
  process.kill(server.pid, "SIGKILL");
  const deadline = Date.now() + 10_000;
  let answer: string[] = [];
  while (answer.length === 0 && Date.now() < deadline) {
    answer = await resolver.resolve4(NAME).catch(() => []);
    await sleep(50);
  }
  expect(answer).toEqual(["127.0.2.1"]);
});
