import { mkdtempSync, rmSync } from "node:fs";
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

async function ask(port: number, path = "/"): Promise<{ status: number; member?: string; version?: string; greeting?: string }> {
  const answer = await fetch(`http://${site.address}:${port}${path}`, { headers: { connection: "close" } });
  const body = (await answer.json().catch(() => ({}))) as Record<string, string>;
  return { status: answer.status, ...body };
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
