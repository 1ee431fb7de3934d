import { spawnSync } from "node:child_process";
import { createReadStream } from "node:fs";
import { onStage } from "./stage.mjs";
import { busyShare, watchLink } from "./wan.mjs";

/** Longer than that nothing is waited for: the row says "not done". */
const DEADLINE_S = 420;

/**
 * One tool in one case, over a link of its own.
 * @param {object} stage what prepareStage gave, and `trimmed()`: the path of the second image without its free blocks
 * @returns {Promise<object>} a row
 */
export async function measure(stage, benchCase, tool) {
  const name = `${benchCase.name}-${tool.name}`;
  return onStage(stage, name, benchCase.lossPercent, async ({ link, near, far, directory }) => {
    const source = stage.corpus.second;
    const held = benchCase.held && stage.corpus[benchCase.held];
    const { exact } = benchCase;
    const session = await tool.prepare({ near, far, directory, source, held, exact, trimmed: stage.trimmed });
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
  });
}

/** @returns {Promise<{done: boolean, problem?: string}>} whether the work was done well and in time; never rejects */
export async function withDeadline(work, seconds) {
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
