import { formatDuration } from "../../duration";
import { SpillwayError } from "../../errors";
import { split } from "../../policy/weights";
import type { RecordAnswer, PoolTraffic } from "../../site/api";
import { SiteError, type SiteDirectory } from "../../site/client";
import { sleep, type StepContext } from "../../wait";
import { parsePoolId } from "../names";
import { ONE_LOOK } from "../patience";

/** Going to new weights in steps. */
export interface Ramp {
  /** How far on the way, in percent, after each step. The last step is always 100. */
  readonly stepsPercent: readonly number[];
  readonly intervalMs: number;
  /** Failed answers per second, at a site whose share is raised, above which the previous weights are put back. */
  readonly abortAboveFailed: number;
}

/** From which answers to which. */
export interface RampRequest {
  readonly name: string;
  readonly prior: readonly RecordAnswer[];
  readonly target: readonly RecordAnswer[];
  readonly ramp: Ramp;
}

/** Puts one set of answers, and moves the users from the set before it. */
export type PutAnswers = (
  answers: readonly RecordAnswer[],
  from: readonly RecordAnswer[],
  signal: AbortSignal,
) => Promise<unknown>;

/**
 * Goes to the new weights in steps and watches the sites that are raised after each: failed answers above the limit, or a member
 * that goes down, put the previous weights back; so does an abort. While a raised site's agent cannot be asked, the ramp holds.
 * @throws SpillwayError, AbortedError
 */
export async function rampWeights(
  sites: SiteDirectory,
  request: RampRequest,
  put: PutAnswers,
  context: StepContext,
): Promise<void> {
  const { prior, target, ramp, name } = request;
  const percents = [...ramp.stepsPercent.filter((percent) => percent < 100), 100];
  let present = prior;
  try {
    const raised = await baseline(sites, request, context);
    for (const percent of percents) {
      const next = percent === 100 ? target : answersAt(prior, target, percent);
      const from = present;
      // The record may be changed although what came after its change failed, or its answer was lost.
      present = next;
      await put(next, from, context.signal);
      if (percent === 100) return;
      context.progress({
        step: "direct",
        subject: name,
        message: `${percent} % of the way; watching for ${formatDuration(ramp.intervalMs)}`,
        fraction: percent / 100,
      });
      await watch(raised, request, context);
    }
  } catch (error) {
    if (present !== prior) {
      await put(prior, present, AbortSignal.timeout(10_000)).catch((again: unknown) => {
        throw notPutBack(name, error, again);
      });
    }
    throw error;
  }
}

/** The answers `percent` of the way from one set to the other; a site whose share rounds to 0 is left out. */
export function answersAt(
  prior: readonly RecordAnswer[],
  target: readonly RecordAnswer[],
  percent: number,
): readonly RecordAnswer[] {
  const all = [...target, ...prior.filter(({ site }) => !target.some((answer) => answer.site === site))];
  const weightIn = (answers: readonly RecordAnswer[], site: string) =>
    answers.find((answer) => answer.site === site)?.weight ?? 0;
  const weights = split(
    Object.fromEntries(
      all.map(({ site }) => {
        const from = weightIn(prior, site);
        return [site, from + ((weightIn(target, site) - from) * percent) / 100];
      }),
    ),
  );
  return all.flatMap((answer) => {
    const weight = weights[answer.site];
    return weight === undefined ? [] : [{ ...answer, weight }];
  });
}

/** A pool that is to get more users, and how it was before it did. */
interface RaisedPool {
  readonly pool: string;
  readonly look: () => Promise<PoolTraffic | undefined>;
  last: PoolTraffic;
  lastAt: number;
  readonly membersUp: number;
}

async function baseline(
  sites: SiteDirectory,
  request: RampRequest,
  context: StepContext,
): Promise<RaisedPool[]> {
  const { prior, target } = request;
  const found = await Promise.all(
    target.map(async ({ site, weight, pool }): Promise<RaisedPool[]> => {
      if (pool === undefined || weight <= (prior.find((answer) => answer.site === site)?.weight ?? 0))
        return [];
      const { site: poolSite, name } = parsePoolId(pool);
      const client = sites.get(poolSite);
      const traffic = await client.traffic(name, { signal: context.signal });
      if (!traffic) throw siteFailed(request.name, pool, "the pool is gone");
      const look = () => client.traffic(name, { ...ONE_LOOK, signal: context.signal });
      return [{ pool, look, last: traffic, lastAt: Date.now(), membersUp: traffic.membersUp }];
    }),
  );
  return found.flat();
}

async function watch(
  raised: readonly RaisedPool[],
  request: RampRequest,
  context: StepContext,
): Promise<void> {
  const until = Date.now() + request.ramp.intervalMs;
  for (;;) {
    let silent = false;
    for (const pool of raised) silent = !(await isFine(pool, request)) || silent;
    const leftMs = until - Date.now();
    if (leftMs <= 0 && !silent) return;
    if (silent) {
      const message = "the agent of a raised site cannot be asked; holding the weights as they are";
      context.progress({ step: "direct", subject: request.name, message });
    }
    await sleep(Math.min(500, silent ? 500 : Math.max(1, leftMs)), context.signal);
  }
}

/** @returns false when nobody could be asked. @throws SpillwayError when it is not fine */
async function isFine(raised: RaisedPool, request: RampRequest): Promise<boolean> {
  let traffic: PoolTraffic | undefined;
  try {
    traffic = await raised.look();
  } catch (error) {
    if (error instanceof SiteError && error.isSilence) return false;
    throw error;
  }
  if (!traffic) throw siteFailed(request.name, raised.pool, "the pool is gone");
  if (traffic.membersUp < raised.membersUp) {
    const problem = `${raised.membersUp - traffic.membersUp} of its ${raised.membersUp} members went down`;
    throw siteFailed(request.name, raised.pool, problem);
  }
  const now = Date.now();
  const failed = traffic.failedTotal - raised.last.failedTotal;
  const perSecond = (failed * 1_000) / Math.max(1_000, now - raised.lastAt);
  if (perSecond > request.ramp.abortAboveFailed) {
    const limit = request.ramp.abortAboveFailed;
    throw siteFailed(
      request.name,
      raised.pool,
      `${perSecond.toFixed(1)} failed answers per second, more than ${limit}`,
    );
  }
  if (now - raised.lastAt >= 1_000) Object.assign(raised, { last: traffic, lastAt: now });
  return true;
}

function siteFailed(name: string, pool: string, problem: string): SpillwayError {
  return new SpillwayError({
    place: `record ${name}`,
    problem: `the ramp was given up, because of ${pool}: ${problem}`,
    mend: "The previous weights are back. Mend the pool, then apply again.",
  });
}

function notPutBack(name: string, error: unknown, again: unknown): SpillwayError {
  const because = error instanceof Error ? error.message : String(error);
  return new SpillwayError(
    {
      place: `record ${name}`,
      problem: `the ramp was given up (${because}), and the previous weights could not be put back: ${again instanceof Error ? again.message : String(again)}`,
      mend: "Apply again as soon as the name server's agent answers: the plan shows the weights as they are.",
    },
    { cause: error },
  );
}
