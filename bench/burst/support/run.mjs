import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as COURSE from "../course.mjs";
import { figuresOf } from "../figures.mjs";
import { layOutLab } from "./lab.mjs";
import { startLoad, watchRecord } from "./programs.mjs";

/** From the end of the fall; whoever is not home then never will be. */
const HOME_DEADLINE_MS = 60_000;
/** The load goes on for so long after everybody is home: who comes with an old answer then is a user as well. */
const AFTER_MS = 4_000;

/** One burst, out and home, by one tool, in a lab of its own. @returns a row */
export async function runOnce({ benchCase, tool, run, seed, keep, say }) {
  const directory = mkdtempSync(join(tmpdir(), "spillway-bench-burst-"));
  const lab = await layOutLab({ clientAddresses: 60 });
  let session;
  let load;
  try {
    const recordName = `shop.${lab.zone}`;
    session = await tool.prepare({ lab, directory: join(directory, "tool"), benchCase, recordName });
    const record = watchRecord(lab, recordName);
    load = await startLoad(lab, loadOptions(lab, benchCase, recordName, seed));
    session.begin();
    const passed = () => Date.now() - load.startedAt;
    const waitUntil = (ms) => new Promise((resolve) => setTimeout(resolve, Math.max(0, ms - passed())));
    const home = session.home();
    home.catch(() => undefined);
    await waitUntil(COURSE.LOW_MS);
    const isHome = await Promise.race([
      home.then(() => true),
      waitUntil(COURSE.LOW_MS + HOME_DEADLINE_MS).then(() => false),
    ]);
    if (!isHome) say("  not home in time");
    await new Promise((resolve) => setTimeout(resolve, AFTER_MS));
    const { buckets, totals } = await load.stop();
    await session.stop();
    record.stop();
    const shifts = record.shifts.map(({ at, weights }) => ({ atMs: at - load.startedAt, weights }));
    if (keep) say(`  kept: ${directory}; shifts ${JSON.stringify(shifts)}`);
    const figures = figuresOf({
      buckets,
      shifts,
      cloud: "cloud",
      breachMs: COURSE.BREACH_MS,
      fallMs: COURSE.FALL_MS,
    });
    return {
      case: benchCase.name,
      tool: tool.name,
      run,
      requests: totals.requests,
      failed: totals.failed,
      resent: totals.resent,
      ...figures,
      isHome,
      reasons: totals.reasons,
      failures: totals.failures,
      complaints: session.complaints?.() ?? [],
      loadCpuPct: totals.cpuPercent,
      lateMs: totals.lateMs,
    };
  } finally {
    await session?.stop();
    await lab.close();
    if (!keep) rmSync(directory, { recursive: true, force: true });
  }
}

function loadOptions(lab, { clients, keepAlive, ttlIgnoring, liveMessagesPerSecond }, name, seed) {
  return {
    name,
    nameServer: lab.nameServer,
    port: lab.port,
    seed,
    timeoutMs: COURSE.TIMEOUT_MS,
    curve: COURSE.CURVE,
    clients,
    keepAlive,
    ttlIgnoring,
    ttlIgnoredMs: COURSE.TTL_IGNORED_MS,
    liveMessagesPerSecond,
    localAddresses: lab.clientAddresses,
  };
}
