import { spawnSync } from "node:child_process";
import { createReadStream, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { openSide } from "./side.mjs";
import { busyShare, openLink, watchLink } from "./wan.mjs";

/** Longer than that nothing is waited for: the row says "not done". */
const DEADLINE_S = 420;

/**
 * One tool in one case, over a link of its own.
 * @param {{program: string, line: object, corpus: object, trimmed: () => Promise<string>, directory: string, name: string}} bench
 * @returns {Promise<object>} a row
 */
export async function measure(bench, benchCase, tool) {
  const directory = join(bench.directory, `${benchCase.name}-${tool.name}`);
  mkdirSync(directory, { mode: 0o700 });
  const link = await openLink(bench.program, { ...bench.line, lossPercent: benchCase.lossPercent });
  const near = openSide(link.near);
  const far = openSide(link.far);
  try {
    const source = bench.corpus.second;
    const held = benchCase.held && bench.corpus[benchCase.held];
    const { exact } = benchCase;
    const session = await tool.prepare({ near, far, directory, source, held, exact, trimmed: bench.trimmed });
    await warm(source);
    spawnSync("sync", ["-f", directory]);
    near.begin();
    far.begin();
    link.reset();
    const stopWatching = watchLink(link);
    const started = performance.now();
    const outcome = await withDeadline(session.push(), DEADLINE_S);
    const wallS = (performance.now() - started) / 1_000;
    const [usedNear, usedFar] = [near.used(), far.used()];
    const samples = await stopWatching();
    const { AtoB, BtoA } = await link.counters();
    const verdict = outcome.done ? await session.verify() : { verified: false };
    return {
      case: benchCase.name,
      tool: tool.name,
      upBytes: AtoB.offeredBytes,
      wallS: round(wallS, 1),
      cpuS: round(usedNear.cpuS + usedFar.cpuS, 1),
      rssMb: round(usedNear.rssMb, 0),
      verified: verdict.verified,
      done: outcome.done,
      downBytes: BtoA.offeredBytes,
      cpuNearS: round(usedNear.cpuS, 1),
      cpuFarS: round(usedFar.cpuS, 1),
      farRssMb: round(usedFar.rssMb, 0),
      linkBusy: round(busyShare(samples, link.bytesPerSecond), 3),
      droppedPackets: AtoB.queueDrops,
      lostPackets: AtoB.lostPackets,
      emulatorLateMs: round(Math.max(AtoB.maxLatenessUs, BtoA.maxLatenessUs) / 1_000, 1),
      note: [outcome.problem, session.note, verdict.note].filter(Boolean).join("; ") || undefined,
    };
  } finally {
    near.close();
    far.close();
    await link.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function withDeadline(work, seconds) {
  let timer;
  const late = new Promise((resolve) => {
    timer = setTimeout(() => resolve({ done: false, problem: `not done in ${seconds} s` }), seconds * 1_000);
  });
  const ended = work.then(
    () => ({ done: true }),
    (problem) => ({ done: false, problem: problem.message }),
  );
  const outcome = await Promise.race([ended, late]);
  clearTimeout(timer);
  return outcome;
}

/** Everybody reads the source from memory: it is the link that is measured, not the disk. */
async function warm(path) {
  for await (const _ of createReadStream(path, { highWaterMark: 4 * 2 ** 20 }));
}

function round(value, digits) {
  return value === undefined ? undefined : Number(value.toFixed(digits));
}
