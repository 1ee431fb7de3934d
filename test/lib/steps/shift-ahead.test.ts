import type { RecordStatus } from "../../../lib/site/api";
import type { NameServer } from "../../../lib/site/ports";
import { ShiftAhead, launchPool } from "../../../lib/steps";
import { SiteDirectory } from "../../../lib/site/client";
import { makeImage, poolSpec, push, startSite, type MadeImage, type TestSite } from "../../support/site";
import { directoryOf, heard, listener } from "./support/steps";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const NAME = "shop.example.test";

/** Holds records in memory, and notes whose TTL it was asked to lower. */
class NotingNameServer implements NameServer {
  readonly endpoint = "127.0.0.1:53";
  readonly prepared: string[] = [];
  private readonly records = new Map<string, RecordStatus>();

  async start(): Promise<void> {}
  async stop(): Promise<void> {}
  async put(name: string, spec: RecordStatus["spec"]): Promise<RecordStatus> {
    const status = { name, spec, changedAt: 1, serial: 1 };
    this.records.set(name, status);
    return status;
  }
  async get(name: string): Promise<RecordStatus | undefined> {
    return this.records.get(name);
  }
  async list(): Promise<readonly RecordStatus[]> {
    return [...this.records.values()];
  }
  async remove(name: string): Promise<void> {
    this.records.delete(name);
  }
  async prepareShift(name: string): Promise<{ readyAt: number }> {
    this.prepared.push(name);
    return { readyAt: Date.now() + 30_000 };
  }
}

const nameServer = new NotingNameServer();
let home: TestSite;
let cloud: TestSite;
let image: MadeImage;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "spillway-shift-"));
  home = await startSite({ site: "onprem", namedBy: nameServer });
  cloud = await startSite({ site: "cloud" });
  image = await makeImage({ dir: folder });
  await push(cloud, image);
  await home.client.putRecord(NAME, {
    owner: "test",
    ttlSeconds: 30,
    answers: [{ site: "onprem", address: "127.0.1.1", weight: 100 }],
  });
}, 30_000);

afterAll(async () => {
  await Promise.all([home?.close(), cloud?.close()]);
  rmSync(folder, { recursive: true, force: true });
});

test("the launch of a pool has the TTL lowered of the names that its users ask for, where it stands", async () => {
  const context = listener();
  const spec = await poolSpec(cloud, image, { hosts: [NAME, "unknown.example.test"], members: 1 });
  await launchPool(
    directoryOf(home, cloud),
    { site: "cloud", name: "shop", spec, deadlineMs: 10_000 },
    context,
  );
  await heard(context, /its TTL is lowered ahead of the shift; in \d+ s all caches hold the lower one/);
  expect(nameServer.prepared).toEqual([NAME]);
});

test("it is asked for again only after a while, and silence is no trouble", async () => {
  nameServer.prepared.length = 0;
  const context = listener();
  const sites = new SiteDirectory({
    onprem: { endpoint: home.endpoint, tokenFile: home.tokenFile },
    gone: { endpoint: "http://127.0.0.1:9", tokenFile: home.tokenFile },
  });
  const ahead = new ShiftAhead(sites, context);
  for (const now of [0, 1_000, 9_999, 10_000, 15_000]) ahead.foresee([NAME], now);
  const until = Date.now() + 5_000;
  while (nameServer.prepared.length < 2 && Date.now() < until)
    await new Promise((done) => setTimeout(done, 20));
  expect(nameServer.prepared).toEqual([NAME, NAME]);
  sites.close();
});
