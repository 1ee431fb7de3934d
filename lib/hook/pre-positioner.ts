import { statSync } from "node:fs";
import { AbortedError, messageOf, SpillwayError } from "../errors";
import {
  capAt,
  lowestCapAt,
  watchBandwidth,
  type BandwidthPlan,
  type WatchedBandwidth,
} from "../image/bandwidth";
import {
  keepSeed,
  linkBpsKnowing,
  prePositionBandwidth,
  prePositionDue,
  type Observation,
  type PolicyState,
  type SeedVerdict,
} from "../policy";
import type { Progress } from "../wait";
import type { EventFact } from "./attempt";
import { afterFailure, NO_FAILURE, withMend, type BackOff, type BackOffOptions } from "./back-off";
import type { ImageLink } from "./image-link";
import type { JournalFact, PrePositioned } from "./journal";
import type { PrePosition } from "./manifest";
import type { Clock } from "./options";

export interface PrePositionerParts {
  readonly settings: PrePosition;
  readonly link: ImageLink;
  readonly clock: Clock;
  /** What an earlier run of the hook did. */
  readonly recovered: PrePositioned | undefined;
  /** Ends the watching of the machine's bandwidth plan. */
  readonly signal: AbortSignal;
  readonly emit: (event: EventFact) => void;
  readonly note: (fact: JournalFact) => void;
  readonly backOff?: BackOffOptions;
}

/** What the loop sees at a turn. */
export interface SeenByLoop {
  readonly state: Pick<PolicyState, "phase" | "desired" | "above">;
  readonly isApplying: boolean;
  readonly observation: Observation | undefined;
}

/** What `spillway status` shows of it. Times are milliseconds since 1970. */
export interface PrePositionStatus {
  readonly state: "running" | "waiting";
  /** Why it runs, or why not. */
  readonly why: string;
  /** When the next one may be, as far as the clock decides. */
  readonly nextAt?: number;
  readonly running?: {
    readonly since: number;
    readonly capBps?: number;
    readonly message?: string;
    readonly fraction?: number;
    readonly etaMs?: number;
  };
  readonly lastDone?: PrePositioned;
  readonly failures: number;
  readonly lastProblem?: string;
  readonly seed?: SeedVerdict;
}

interface Run {
  readonly stop: AbortController;
  readonly since: number;
  readonly plan: BandwidthPlan;
  readonly capBps?: number;
  /** Why it is being stopped. */
  stopped?: string;
  progress?: Progress;
  done: Promise<void>;
}

/** A site that is down at night is not asked every few seconds; a failure is no reason to hurry either. */
const BACK_OFF: BackOffOptions = { firstMs: 30_000, longestMs: 1_800_000, giveUpAfter: Infinity };
const BURSTS_PER_MONTH = 4;
const LEAD_TIME_MS = 600_000;
/** What is sent of an image that the far side knows nothing of. A transfer of less than the other share does not show it. */
const PACKED_SHARE = 0.4;
const LEAST_SHARE = 0.05;

/**
 * Keeps the image nearly current at the cloud between bursts, in the background and at low priority. The loop shows it every turn what
 * there is to see; it begins, stops and remembers by itself and never holds the loop up.
 */
export class PrePositioner {
  private run: Run | undefined;
  private lastDone: PrePositioned | undefined;
  private backOff: BackOff = NO_FAILURE;
  private told: string | undefined;
  private waiting: { readonly why: string; readonly at?: number } = { why: "the hook has just begun" };
  private linkBps = 0;
  private seed: SeedVerdict | undefined;
  private readonly machine: WatchedBandwidth;

  constructor(private readonly parts: PrePositionerParts) {
    this.lastDone = parts.recovered;
    this.machine = watchBandwidth(parts.signal, { onProblem: ({ message }) => this.tell(message) });
  }

  /** The observation with what the link carries, also after a transfer of ours that was slow on purpose. */
  corrected(observation: Observation): Observation {
    const memory = this.lastDone?.capBps === undefined ? undefined : this.lastDone;
    const capped = memory && { capBps: memory.capBps as number, linkBps: memory.linkBps };
    const { cloud } = observation;
    const linkBps = linkBpsKnowing(cloud.linkBps, cloud.reachable ? capped : undefined);
    return linkBps === cloud.linkBps ? observation : { ...observation, cloud: { ...cloud, linkBps } };
  }

  /** Begins, goes on, stops, or does nothing: at once. */
  consider({ state, isApplying, observation }: SeenByLoop): void {
    const { clock, settings } = this.parts;
    const now = clock.now();
    const cloud = observation?.cloud;
    if (cloud?.reachable && !this.run) this.linkBps = cloud.linkBps;
    const burst = burstInWords(state);
    if (this.run) {
      const { plan: begunWith, since } = this.run;
      // What the machine allows, the transfer follows by itself.
      const isPaceOld = capAt(begunWith, new Date(now)) !== capAt(begunWith, new Date(since));
      const paused =
        this.pausedInWords(begunWith, now) ??
        (isPaceOld ? "it goes on at once with what its window allows now" : undefined);
      const why = burst === undefined ? paused : `demand comes first: ${burst}`;
      if (why !== undefined) this.abort(this.run, why);
      return;
    }
    this.judgeSeed();
    const plan = prePositionBandwidth(settings, this.linkBps);
    const busy =
      burst ??
      (isApplying ? "an apply is under way" : undefined) ??
      (state.above > 0 ? "demand may be about to burst" : undefined);
    const due = prePositionDue({
      now,
      everyMs: settings.everyMs,
      windows: plan.windows,
      timeZone: plan.timeZone,
      lastDoneAt: this.lastDone?.doneAt,
      sourceChangedAt: lookAt(settings.source)?.changedAt,
      failure: this.backOff,
      busy,
    });
    const capBps = this.capAt(plan, now);
    if (!due.due) this.waiting = due;
    else if (!cloud?.reachable) this.waiting = { why: "the cloud cannot be asked" };
    else if (capBps === 0) this.waiting = { why: this.pausedInWords(plan, now) ?? "nothing is allowed" };
    else this.begin(due.why, plan, capBps);
  }

  status(): PrePositionStatus {
    const { backOff, lastDone, run, seed, waiting } = this;
    const about = {
      ...(lastDone ? { lastDone } : {}),
      failures: backOff.failures,
      ...(backOff.lastProblem === undefined ? {} : { lastProblem: backOff.lastProblem }),
      ...(seed ? { seed } : {}),
    };
    if (!run)
      return {
        state: "waiting",
        why: waiting.why,
        ...(waiting.at === undefined ? {} : { nextAt: waiting.at }),
        ...about,
      };
    const { since, capBps, progress } = run;
    const { message, fraction, etaMs } = progress ?? {};
    return {
      state: "running",
      why: run.stopped ?? "it is due",
      running: { since, capBps, message, fraction, etaMs },
      ...about,
    };
  }

  /** What a plan's reader should know of the seed; undefined without prices. */
  get advice(): string | undefined {
    return this.seed?.reason;
  }

  /** What must not be lost when the journal begins a new file. */
  get toRemember(): readonly JournalFact[] {
    return this.lastDone ? [{ kind: "pre-positioned", ...this.lastDone }] : [];
  }

  /** Ends what is running, and waits for that. */
  async stop(why: string): Promise<void> {
    if (!this.run) return;
    const { done } = this.run;
    this.abort(this.run, why);
    await done;
  }

  private begin(why: string, plan: BandwidthPlan, capBps: number | undefined): void {
    const run: Run = {
      stop: new AbortController(),
      since: this.parts.clock.now(),
      plan,
      ...(capBps === undefined ? {} : { capBps }),
      done: Promise.resolve(),
    };
    this.run = run;
    this.parts.emit({ kind: "pre-positioning", why, ...(capBps === undefined ? {} : { capBps }) });
    run.done = this.perform(run).finally(() => {
      this.run = undefined;
    });
  }

  private async perform(run: Run): Promise<void> {
    const { clock, emit, note } = this.parts;
    try {
      const { sentBytes, ...done } = await this.transfer(run);
      this.lastDone = done.now;
      this.backOff = NO_FAILURE;
      this.told = undefined;
      note({ kind: "pre-positioned", ...done.now });
      const { digest, sizeBytes } = done.now;
      emit({ kind: "pre-positioned", digest, sizeBytes, sentBytes, durationMs: clock.now() - run.since });
    } catch (error) {
      if (run.stopped !== undefined || error instanceof AbortedError) {
        const why = run.stopped ?? messageOf(error);
        this.waiting = { why };
        note({ kind: "pre-position-stopped", why });
        emit({ kind: "pre-position-stopped", why });
        return;
      }
      const problem = error instanceof SpillwayError ? withMend(error) : messageOf(error);
      this.backOff = afterFailure(this.backOff, problem, clock.now(), this.parts.backOff ?? BACK_OFF);
      note({ kind: "pre-position-failed", problem, failures: this.backOff.failures });
      this.tell(problem);
    }
  }

  private async transfer(run: Run): Promise<{ readonly now: PrePositioned; readonly sentBytes: number }> {
    const { clock, link, settings } = this.parts;
    const before = this.lastDone;
    const context = {
      signal: run.stop.signal,
      progress: (progress: Progress) => {
        run.progress = progress;
      },
    };
    const source = lookAt(settings.source)?.identity ?? "";
    const held = before ? await link.held(context) : [];
    if (before?.source === source && held.includes(before.digest))
      return { now: { ...before, doneAt: clock.now() }, sentBytes: 0 };
    const image = {
      ...{ source: settings.source, digest: settings.digest },
      ...{ exact: settings.exact, format: settings.format },
    };
    const { digest, sizeBytes, sentBytes } = await link.push(
      image,
      { capBps: run.capBps, plan: run.plan },
      context,
    );
    const earlier = before ? [...before.superseded, before.digest] : [];
    const now: PrePositioned = {
      ...{ doneAt: clock.now(), source, digest, sizeBytes, sentBytes },
      mostSentBytes: Math.max(sentBytes, before?.mostSentBytes ?? 0),
      ...(run.capBps === undefined ? {} : { capBps: run.capBps }),
      linkBps: this.linkBps,
      superseded: [...new Set(earlier)].filter((each) => each !== digest && held.includes(each)),
    };
    return { now, sentBytes };
  }

  private abort(run: Run, why: string): void {
    if (run.stopped !== undefined) return;
    run.stopped = why;
    run.stop.abort();
  }

  /** What is allowed now, by its own plan and by the machine's. */
  private capAt(plan: BandwidthPlan, now: number): number | undefined {
    return lowestCapAt([plan, this.machine.current()], new Date(now));
  }

  private pausedInWords(plan: BandwidthPlan, now: number): string | undefined {
    if (capAt(plan, new Date(now)) === 0) return "its time is over";
    return this.capAt(plan, now) === 0 ? "transfers are switched off on this machine" : undefined;
  }

  private judgeSeed(): void {
    const { emit, settings } = this.parts;
    const { lastDone } = this;
    if (!settings.seed || !lastDone || this.linkBps <= 0) return;
    const { sizeBytes, sentBytes, mostSentBytes } = lastDone;
    const isShown = mostSentBytes >= sizeBytes * LEAST_SHARE;
    const { seed } = settings;
    const verdict = keepSeed({
      ...seed,
      burstsPerMonth: seed.burstsPerMonth ?? BURSTS_PER_MONTH,
      leadTimeMs: seed.leadTimeMs ?? LEAD_TIME_MS,
      sizeBytes,
      coldBytes: isShown ? mostSentBytes : sizeBytes * PACKED_SHARE,
      // The next delta is guessed by the last one; a transfer of the whole is none.
      warmBytes: isShown && sentBytes === mostSentBytes ? 0 : sentBytes,
      linkBps: this.linkBps,
    });
    const before = this.seed;
    this.seed = verdict;
    if (before?.keep !== verdict.keep)
      emit({ kind: "seed-advice", keep: verdict.keep, reason: verdict.reason });
  }

  /** Once, until it is another problem or it went well. */
  private tell(problem: string): void {
    if (problem === this.told) return;
    this.told = problem;
    this.parts.emit({ kind: "problem", message: `bringing the image nearer: ${problem}` });
  }
}

function burstInWords({ phase, desired }: SeenByLoop["state"]): string | undefined {
  if (phase === "burst") return "the burst is in force";
  if (phase === "homing") return "users are on their way home";
  return phase === "bursting" || desired.burst ? "a burst begins" : undefined;
}

interface SourceLook {
  readonly changedAt: number;
  readonly identity: string;
}

/** Undefined: there is no such file. */
function lookAt(source: string): SourceLook | undefined {
  try {
    const { ino, size, mtimeMs, ctimeMs } = statSync(source);
    return { changedAt: mtimeMs, identity: `${ino} ${size} ${mtimeMs} ${ctimeMs}` };
  } catch {
    return undefined;
  }
}
