import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { DeadlineError, SpillwayError } from "../../lib/errors";
import { findTerraform, loadManifest, type HookEvent } from "../../lib/hook";
import type { RunRecord } from "../../lib/report";
import { SiteDirectory } from "../../lib/site/client";
import { sleep } from "../../lib/wait";
import { startLab } from "../lab/lab";
import { assembleRun } from "./assemble-run";
import { startHook, type HookProcess } from "./hook-process";
import { buildShopImage } from "./image";
import { inOrder } from "./in-order";
import { startLoad, type LoadBucket, type RunningLoad } from "./load";
import { layOutProject, synthesise } from "./project";
import { applyByHand } from "./quiet-apply";
import type { Timeline } from "./timeline";
import { curveDurationMs, demandAt, demandCurve, OPENING_MATCH, readShippedTrace, stretchTo } from "./trace";
import { watchSites, type SiteWatch } from "./watch-sites";

export interface DemoOptions {
  /** A folder of the demo's own; made when missing. */
  readonly dir: string;
  readonly imageBytes: number;
  /** Length of the replayed demand. @default 75 */
  readonly seconds?: number;
  readonly timeline: Timeline;
  readonly startedAt: number;
  readonly signal: AbortSignal;
}

const BURST = "shop";
const SITES = ["onprem", "cloud"] as const;
const MEMBER_RPS = 200;
const HOME_MEMBERS = 2;
/** The whole demo ends within two minutes, whatever happens. */
const LAST_CALL_MS = 115_000;

/** What a demo's hurry asks of the hook, besides what the shop declares. A real shop waits minutes where this waits seconds. */
const HURRIED_POLICY = {
  confirmations: 2,
  homeAfterMs: 6_000,
  minimumStayMs: 10_000,
  launchEstimateMs: 3_000,
  intervalMs: 500,
  maxCloudMembers: 4,
};

/**
 * One burst from end to end: lab, image, synthesised shop, first apply by hand; then users arrive along a recorded peak and the hook does
 * the rest. Everything it starts it ends.
 * @throws SpillwayError, AbortedError
 */
export async function runDemo(options: DemoOptions): Promise<RunRecord> {
  const { dir, startedAt, signal } = options;
  const timeline = inOrder(options.timeline);
  const tool = await findTerraform();
  const curve = demandCurve(readShippedTrace(), {
    stretch: options.seconds ? stretchTo(OPENING_MATCH, options.seconds) : OPENING_MATCH,
    quietRps: 0.4 * HOME_MEMBERS * MEMBER_RPS,
    peakRps: 1.7 * HOME_MEMBERS * MEMBER_RPS,
  });

  mkdirSync(dir, { recursive: true });
  const imagePath = join(dir, "shop.img");
  timeline.say("lab", "two sites, a 100 Mbit/s link and a name server on this machine");
  await buildShopImage({ path: imagePath, version: "v2", sizeBytes: options.imageBytes });
  const lab = await startLab({
    dir: join(dir, ".spillway"),
    imagePath,
    policy: HURRIED_POLICY,
    onNotice: (line) => timeline.say("lab", line, "bad"),
  });
  const sites = new SiteDirectory(lab.info.sites);
  let watch: SiteWatch | undefined;
  let hook: HookProcess | undefined;
  let load: RunningLoad | undefined;
  try {
    const { parametersFile } = layOutProject(dir, BURST);
    await synthesise(dir);
    const { manifest, directories } = loadManifest(dir);
    const firstApply = await applyByHand({
      tool,
      stackDir: directories.stack,
      parametersFile,
      scratch: join(dir, "by-hand"),
      onLine: (line) => timeline.say("by hand", line),
    });

    let imageBytesSent = 0;
    const crossedBefore = lab.link.bytes.toTarget;
    watch = watchSites(sites, (site, event) => {
      timeline.site(site, event);
      if (site === "cloud" && event.kind === "image-complete") {
        imageBytesSent = lab.link.bytes.toTarget - crossedBefore;
      }
    });
    await homeIsUp(watch, signal);
    const buckets: LoadBucket[] = [];
    load = await startLoad(
      {
        name: manifest.record.name,
        nameServer: lab.info.nameServer.endpoint,
        port: lab.info.port,
        sites: Object.fromEntries(SITES.map((site) => [site, lab.info.sites[site].address])),
        curve,
        ttlIgnoringFactor: 4,
        maxMs: LAST_CALL_MS,
      },
      {
        onBucket: (bucket) => {
          buckets.push(bucket);
          timeline.status(standing(bucket, watch, demandAt(curve, bucket.atMs), buckets));
        },
        onFailure: (failure) =>
          timeline.say("failed", `${failure.reason} at ${failure.site ?? "?"}: ${failure.detail}`, "bad"),
      },
    );
    timeline.say("users", "they resolve, they keep connections, some keep old answers", "bright");
    hook = startHook(dir, (event) => timeline.hook(event));

    await homeAgain({ hook, watch, load, curveMs: curveDurationMs(curve), startedAt, signal });
    const totals = await load.stop();
    await hook.stop();
    await watch.stop();
    timeline.end();
    const record = assembleRun({
      title: "One burst, out and home",
      subtitle:
        "examples/shop in a lab of two sites on one machine; demand follows the World Cup 98 site's requests of 10 June 1998, compressed.",
      startedAt,
      endedAt: Date.now(),
      sites: SITES,
      cloudSite: "cloud",
      pool: manifest.cloud.pool,
      recordName: manifest.record.name,
      memberCapacityRps: { onprem: MEMBER_RPS, cloud: MEMBER_RPS },
      load: { startedAt: load.startedAt, buckets, totals },
      contexts: watch.contexts,
      siteEvents: watch.events,
      hookEvents: hook.events,
      applies: [firstApply],
      imageBytes: statSync(imagePath).size,
      imageBytesSent,
    });
    return record;
  } finally {
    timeline.end();
    await hook?.stop();
    await load?.stop().catch(() => undefined);
    await watch?.stop();
    sites.close();
    await lab.close();
  }
}

/** Users come to a shop that is open: a launched member is not an available one. */
async function homeIsUp(watch: SiteWatch, signal: AbortSignal): Promise<void> {
  const deadline = Date.now() + 20_000;
  while ((watch.latest("onprem")?.pools[0]?.traffic.membersUp ?? 0) < HOME_MEMBERS) {
    if (Date.now() > deadline) {
      throw new DeadlineError({
        place: "the demo",
        problem: `the members on premises are not up after 20 s`,
        mend: "Run it with --keep and read the members' logs in its folder.",
      });
    }
    await sleep(100, signal);
  }
}

/** Waits until the demand was replayed, the cloud was used, and nothing of it is left. */
async function homeAgain(options: {
  readonly hook: HookProcess;
  readonly watch: SiteWatch;
  readonly load: RunningLoad;
  readonly curveMs: number;
  readonly startedAt: number;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { hook, watch, load } = options;
  for (;;) {
    await sleep(200, options.signal);
    if (!hook.running()) {
      throw new SpillwayError({
        place: `spillway run, process ${hook.pid}`,
        problem: `the hook ended early: ${hook.complaint() || "it said nothing"}`,
        mend: "Run the demo with --keep and look into its folder.",
      });
    }
    const replayed = Date.now() - load.startedAt >= options.curveMs;
    const gone = watch.events.some(({ site, event }) => site === "cloud" && event.kind === "pool-gone");
    if (replayed && gone && settled(hook.events)) return;
    if (Date.now() - options.startedAt > LAST_CALL_MS) {
      throw new DeadlineError({
        place: "the demo",
        problem: `it is not home after ${LAST_CALL_MS / 1_000} s (${gone ? "an apply still runs" : "the cloud pool is still there"})`,
        mend: "A very slow machine? Run it with --keep and read the logs in its folder.",
      });
    }
  }
}

/** No apply is under way. */
function settled(events: readonly HookEvent[]): boolean {
  const last = events
    .filter(({ kind }) => ["applying", "applied", "aborted", "failed"].includes(kind))
    .at(-1);
  return last?.kind === "applied";
}

function standing(
  bucket: LoadBucket,
  watch: SiteWatch | undefined,
  demandRps: number,
  buckets: readonly LoadBucket[],
) {
  const traffic = SITES.map((site) => ({ site, traffic: watch?.latest(site)?.pools[0]?.traffic }));
  return {
    demandRps,
    capacityRps: traffic.reduce((sum, { traffic: now }) => sum + (now?.membersUp ?? 0) * MEMBER_RPS, 0),
    servedBySite: bucket.bySite,
    sessionsBySite: Object.fromEntries(traffic.map(({ site, traffic: now }) => [site, now?.sessions ?? 0])),
    failed: buckets.reduce((sum, { failed }) => sum + failed, 0),
  };
}
