import { copyFileSync, mkdtempSync, readFileSync, rmSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  readJournal,
  readStatus,
  runHook,
  stateDirectory,
  type HookOptions,
  type HookStatus,
  type PrePosition,
} from "../../../lib/hook";
import { writeBandwidth } from "../../../lib/image/bandwidth";
import { SiteDirectory } from "../../../lib/site/client";
import { transferImage } from "../../../lib/steps";
import { sleep } from "../../../lib/wait";
import { makeImage, startSite, type MadeImage, type TestSite } from "../../support/site";
import { makeProject, MANIFEST, type Project } from "./support/stack";
import { Events, World } from "./support/world";

const CONTEXT = { signal: new AbortController().signal, progress: () => undefined };
const environment = { ...process.env };
let root: string;
let site: TestSite;
let project: Project;
let versions: { readonly one: MadeImage; readonly two: MadeImage };
/** So large that it goes in many segments. */
let large: MadeImage;
let source: string;
const stopping: (() => Promise<void>)[] = [];

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "spillway-pre-position-"));
  const image = { dir: join(root, "images"), bytes: 3_000_000 };
  versions = {
    one: await makeImage({ ...image, version: "1" }),
    two: await makeImage({ ...image, version: "2" }),
  };
  large = await makeImage({ ...image, bytes: 40_000_000 });
});

beforeEach(async () => {
  const own = mkdtempSync(join(root, "test-"));
  process.env.XDG_CONFIG_HOME = join(own, "config");
  process.env.XDG_CACHE_HOME = join(own, "cache");
  site = await startSite({ site: "cloud" });
  project = makeProject();
  source = join(own, "image.tar");
  become(versions.one);
});

afterEach(async () => {
  for (const stop of stopping.splice(0)) await stop();
  await site.close();
  project.remove();
});

afterAll(() => {
  process.env = environment;
  rmSync(root, { recursive: true, force: true });
});

/** The image file is now that one, and has been for some minutes. */
function become(image: MadeImage): void {
  copyFileSync(image.path, source);
  const when = new Date(Date.now() - 300_000);
  utimesSync(source, when, when);
}

function start(
  settings: Partial<PrePosition> = {},
  more: Partial<HookOptions> = {},
): { world: World; events: Events; stop: () => Promise<void> } {
  const world = new World();
  const events = new Events();
  const controller = new AbortController();
  const running = runHook({
    manifest: {
      ...MANIFEST,
      sites: { ...MANIFEST.sites, cloud: { endpoint: site.endpoint, tokenFile: site.tokenFile } },
      prePosition: { source, everyMs: 1_000, ...settings },
    },
    directories: project.directories,
    mode: "propose",
    observe: (signal) => world.observe(signal),
    signal: controller.signal,
    onEvent: events.push,
    backOff: { firstMs: 100, longestMs: 100, giveUpAfter: Infinity },
    ...more,
  });
  running.catch(() => undefined);
  const stop = async () => {
    controller.abort();
    await running;
  };
  stopping.push(stop);
  return { world, events, stop };
}

async function statusUntil(is: (status: HookStatus) => boolean): Promise<HookStatus> {
  const { status: file } = stateDirectory(project.directories.project, "shop");
  for (const deadline = Date.now() + 10_000; ;) {
    const status = readStatus(file);
    if (status && is(status)) return status;
    if (Date.now() > deadline) throw new Error(JSON.stringify(status, null, 1));
    await sleep(20);
  }
}

function journal(): string[] {
  return readJournal(stateDirectory(project.directories.project, "shop").journal).entries.map(
    ({ kind }) => kind,
  );
}

/** What a burst's own transfer would send now. */
async function burstSends(to = site): Promise<number> {
  const sites = new SiteDirectory({ cloud: { endpoint: to.endpoint, tokenFile: to.tokenFile } });
  try {
    return (await transferImage(sites, { site: "cloud", source }, CONTEXT)).sentBytes;
  } finally {
    sites.close();
  }
}

test("an image that changed is brought there in the background, so that a burst sends next to nothing", async () => {
  const { events, stop } = start({ seed: { storagePricePerGbMonth: 0.1, leadTimeMs: 1 } });
  await events.until(({ kind }) => kind === "pre-positioned");
  const [first] = events.of("pre-positioned");
  expect(first?.sizeBytes).toBe(versions.one.bytes);
  expect(first?.sentBytes).toBeGreaterThan(1_000_000);
  expect(events.of("pre-positioning")[0]).toMatchObject({ why: "it was never done", capBps: 25_000_000 });

  become(versions.two);
  await events.until((event) => event.kind === "pre-positioned" && event.digest !== first?.digest);
  const second = events.of("pre-positioned").find(({ digest }) => digest !== first?.digest);
  expect(second?.sentBytes).toBeLessThan((first?.sentBytes ?? 0) / 10);
  expect(await burstSends()).toBeLessThan(100_000);

  const { prePosition } = await statusUntil(
    ({ prePosition: seen }) => seen?.lastDone?.digest === second?.digest,
  );
  expect(prePosition).toMatchObject({
    failures: 0,
    lastDone: { sentBytes: second?.sentBytes, mostSentBytes: first?.sentBytes, superseded: [first?.digest] },
    seed: { keep: true },
  });
  expect(prePosition?.seed?.reason).toMatch(/costs less than 0\.01 a month; .* kept whatever it costs$/);
  expect(events.of("seed-advice")).toHaveLength(1);
  await stop();
  expect(journal()).toContain("pre-positioned");
});

test("an image that did not change is looked for and not sent again; one that was deleted there is sent again", async () => {
  const { events } = start();
  await events.until(({ kind }) => kind === "pre-positioned");
  await events.until((event) => event.kind === "pre-positioned" && event.sentBytes === 0);
  const { digest } = events.of("pre-positioned")[0] ?? { digest: "" };
  await site.client.deleteImage(digest);
  const after = events.all.length;
  await events.until(
    (event) => event.kind === "pre-positioned" && event.sentBytes > 1_000_000,
    15_000,
    after,
  );
});

test("a burst that begins stops it at once, nothing begins while it lasts, and what has crossed stays", async () => {
  become(large);
  const { world, events } = start({ cap: "24Mbit" });
  await statusUntil(({ prePosition }) => (prePosition?.running?.fraction ?? 0) > 0.1);
  world.demandRps = 600;
  const stopped = await events.until(({ kind }) => kind === "pre-position-stopped");
  expect(stopped).toMatchObject({ why: "demand comes first: a burst begins" });
  const decided = events.of("decided").find(({ decision }) => decision.action === "burst");
  expect(stopped.at - (decided?.at ?? 0)).toBeLessThan(3_000);
  await sleep(1_300);
  expect(events.of("pre-positioning")).toHaveLength(1);
  const { prePosition } = await statusUntil(({ prePosition: seen }) => seen?.state === "waiting");
  expect(prePosition?.why).toBe("demand comes first: a burst begins");
  const rest = await burstSends();
  const fresh = await startSite({ site: "cloud" });
  try {
    expect(rest).toBeLessThan((await burstSends(fresh)) * 0.98);
  } finally {
    await fresh.close();
  }
  expect(await burstSends()).toBeLessThan(100_000);
}, 30_000);

test("a hook that ends stops it, and the next one goes on; what was done is remembered", async () => {
  become(large);
  const first = start({ cap: "24Mbit" });
  await statusUntil(({ prePosition }) => (prePosition?.running?.fraction ?? 0) > 0.1);
  const began = Date.now();
  await first.stop();
  expect(Date.now() - began).toBeLessThan(2_000);
  expect(first.events.of("pre-position-stopped")).toMatchObject([{ why: "the hook stops" }]);

  const second = start({ everyMs: 3_600_000 });
  await second.events.until(({ kind }) => kind === "pre-positioned");
  await second.stop();

  const third = start({ everyMs: 3_600_000 });
  const { prePosition } = await statusUntil(({ prePosition: seen }) => seen?.nextAt !== undefined);
  expect(prePosition).toMatchObject({
    state: "waiting",
    why: expect.stringMatching(/^the last one was .* ago/),
  });
  expect(third.events.of("pre-positioning")).toEqual([]);
});

test("a site that refuses is told of once, however often it is tried", async () => {
  const manifest = {
    ...MANIFEST,
    sites: { ...MANIFEST.sites, cloud: { endpoint: "http://127.0.0.1:1", tokenFile: site.tokenFile } },
    prePosition: { source, everyMs: 1_000 },
  };
  const { events, stop } = start(
    {},
    {
      manifest,
      imageLink: {
        held: () => Promise.resolve([]),
        push: () => Promise.reject(new Error("the disk is full")),
        close: () => undefined,
      },
    },
  );
  const { prePosition } = await statusUntil(({ prePosition: seen }) => (seen?.failures ?? 0) >= 3);
  expect(prePosition?.lastProblem).toBe("the disk is full");
  await stop();
  expect(events.of("problem").map(({ message }) => message)).toEqual([
    "bringing the image nearer: the disk is full",
  ]);
  expect(journal().filter((kind) => kind === "pre-position-failed").length).toBeGreaterThanOrEqual(3);
});

test("it begins when its window opens and is stopped when that closes, by the clock of its zone", async () => {
  let ahead = Date.parse("2026-11-23T20:59:50Z") - Date.now();
  const clock = { now: () => Date.now() + ahead, sleep };
  become(large);
  const { world, events } = start({ windows: ["22:00-06:00 16Mbit"], timeZone: "Europe/Berlin" }, { clock });
  world.observe = () => Promise.resolve(world.observation(clock.now()));
  const { prePosition } = await statusUntil(({ prePosition: seen }) => seen?.nextAt !== undefined);
  expect(prePosition).toMatchObject({
    why: "it is outside of the time that it may run in",
    nextAt: Date.parse("2026-11-23T21:00:00Z"),
  });
  expect(events.of("pre-positioning")).toEqual([]);
  ahead += 10_000;
  const begun = await events.until(({ kind }) => kind === "pre-positioning");
  expect(begun).toMatchObject({ capBps: 16_000_000 });
  await statusUntil(({ prePosition: seen }) => (seen?.running?.fraction ?? 0) > 0);
  ahead += 8 * 3_600_000;
  expect(await events.until(({ kind }) => kind === "pre-position-stopped")).toMatchObject({
    why: "its time is over",
  });
});

test("a window that allows more, or less, than the one before holds from its first minute on", async () => {
  let ahead = Date.parse("2026-11-23T21:59:50Z") - Date.now();
  const clock = { now: () => Date.now() + ahead, sleep };
  become(large);
  const windows = ["22:00-23:00 16Mbit", "23:00-06:00 24Mbit"];
  const { world, events } = start({ windows, timeZone: "Europe/Berlin" }, { clock });
  world.observe = () => Promise.resolve(world.observation(clock.now()));
  await events.until(({ kind }) => kind === "pre-positioning");
  await statusUntil(({ prePosition: seen }) => (seen?.running?.fraction ?? 0) > 0);
  ahead += 10_000;
  await events.until(({ kind }) => kind === "pre-positioned", 30_000);
  expect(events.of("pre-positioning").map(({ capBps }) => capBps)).toEqual([16_000_000, 24_000_000]);
  expect(events.of("pre-position-stopped")).toMatchObject([
    { why: "it goes on at once with what its window allows now" },
  ]);
});

test("a far side that measured a transfer at low priority is not believed about the link", async () => {
  const world = new World();
  let linkBps = 100e6;
  const observe = async () => {
    const seen = world.observation();
    return { ...seen, cloud: { ...seen.cloud, linkBps } };
  };
  const { events } = start({ everyMs: 3_600_000 }, { observe });
  await events.until(({ kind }) => kind === "pre-positioned");
  linkBps = 24e6;
  const lookedAt = Date.now();
  const { observation } = await statusUntil(({ observation: seen }) => (seen?.at ?? 0) > lookedAt + 200);
  expect(observation?.cloud.linkBps).toBe(100e6);
  linkBps = 60e6;
  await statusUntil(({ observation: seen }) => seen?.cloud.linkBps === 60e6);
});

test("the plan of a burst says what the seed is worth", async () => {
  const imageLink = {
    held: () => Promise.resolve([]),
    push: () => Promise.resolve({ digest: "sha256:1", sizeBytes: 20e9, sentBytes: 8e9 }),
    close: () => undefined,
  };
  const seed = { storagePricePerGbMonth: 0.1, leadTimeMs: 60_000 };
  const { world, events } = start({ everyMs: 3_600_000, seed }, { imageLink, mode: "apply" });
  await events.until(({ kind }) => kind === "seed-advice", 30_000);
  world.demandRps = 600;
  await events.until((event) => event.kind === "flipped" && event.parameters.burst, 30_000);
  expect(events.of("planned").at(-1)?.markdown).toMatch(
    /\n\nthe seed of 20\.0 GB costs 2\.00 a month; .* it is kept whatever it costs\.\n$/,
  );
}, 60_000);

test("a machine whose transfers are switched off is left alone, and one where they are switched off later", async () => {
  writeBandwidth({ capBps: "off" });
  const { events } = start({ cap: "4Mbit" });
  await statusUntil(({ prePosition }) => prePosition?.why === "transfers are switched off on this machine");
  writeBandwidth({});
  await events.until(({ kind }) => kind === "pre-positioning");
  writeBandwidth({ capBps: "off" });
  expect(await events.until(({ kind }) => kind === "pre-position-stopped")).toMatchObject({
    why: "transfers are switched off on this machine",
  });
  expect(readFileSync(join(process.env.XDG_CONFIG_HOME ?? "", "spillway/bandwidth.json"), "utf8")).toContain(
    "off",
  );
});
