import { copyFileSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readJournal, stateDirectory } from "../../lib/hook";
import { makeImage, startSite, type TestSite } from "../support/site";
import { MANIFEST, QUIET } from "../lib/hook/support/stack";
import { spillway, startSpillway } from "./support/spillway";

let dir: string;
let site: TestSite;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "spillway-near-"));
  site = await startSite({ site: "cloud" });
  const image = await makeImage({ dir: join(dir, "images"), bytes: 2_000_000 });
  const source = join(dir, "shop.tar");
  copyFileSync(image.path, source);
  const when = new Date(Date.now() - 300_000);
  utimesSync(source, when, when);
  mkdirSync(join(dir, "desired"));
  writeFileSync(join(dir, "desired", "shop.tfvars.json"), JSON.stringify({ shop: QUIET }));
});

afterEach(async () => {
  await site.close();
  rmSync(dir, { recursive: true, force: true });
});

function declare(prePosition: object): void {
  const sites = { ...MANIFEST.sites, cloud: { endpoint: site.endpoint, tokenFile: site.tokenFile } };
  const shop = {
    ...MANIFEST,
    sites,
    prePosition: { source: "shop.tar", everyMs: 3_600_000, ...prePosition },
  };
  writeFileSync(join(dir, "spillway.json"), JSON.stringify({ bursts: { shop } }));
}

const environment = () => ({
  SPILLWAY_TOKEN: "some-token-0123456789",
  XDG_CACHE_HOME: join(dir, "cache"),
  XDG_CONFIG_HOME: join(dir, "config"),
});

test("run brings the image near and tells it; status says what is there and what it is worth", async () => {
  declare({ seed: { storagePricePerGbMonth: 0.1, leadTimeMs: 600_000 } });
  const hook = startSpillway(["run", "--propose"], { cwd: dir, env: environment() });
  try {
    await hook.until(/seed +the seed of 1\.99 MB costs/);
    const { stdout } = await spillway(["status"], { cwd: dir, env: environment() });
    expect(stdout).toMatch(
      /^hook shop: image: not brought nearer now: the last one was .* ago, and one is due every 1 h 0 min, next in (59 min|1 h)/m,
    );
    expect(stdout).toMatch(/^hook shop: image: sha256:[0-9a-f]{12}… was at the cloud .* ago, .* sent$/m);
    expect(stdout).toMatch(
      /^hook shop: image: the seed of 1\.99 MB costs less than 0\.01 a month .* not worth keeping$/m,
    );
  } finally {
    hook.child.kill("SIGTERM");
  }
  const ended = await hook.ended;
  expect(ended).toMatchObject({ code: 0, stderr: "" });
  expect(ended.stdout).toMatch(/image +brought nearer in the background, at most .*: it was never done/);
  expect(ended.stdout).toMatch(/image +sha256:\S+ is at the cloud: .* sent in /);
}, 60_000);

test("SIGTERM ends a transfer in the background in good order", async () => {
  declare({ cap: "1Mbit" });
  const hook = startSpillway(["run", "--propose", "--json"], { cwd: dir, env: environment() });
  try {
    await hook.until(/"kind":"pre-positioning".*"capBps":1000000/);
    await hook.until(/"kind":"observed"[^]*"kind":"observed"[^]*"kind":"observed"[^]*"kind":"observed"/);
    const { stdout } = await spillway(["status"], { cwd: dir, env: environment() });
    expect(stdout).toMatch(/^hook shop: image: brought nearer for .*: at most 1 Mbit\/s, /m);
  } finally {
    hook.child.kill("SIGTERM");
  }
  expect(await hook.ended).toMatchObject({ code: 0, stderr: "" });
  const { entries } = readJournal(stateDirectory(dir, "shop").journal);
  expect(entries.map(({ kind }) => kind)).toContain("pre-position-stopped");
  expect(entries.at(-1)).toMatchObject({ kind: "stopped" });
}, 60_000);
