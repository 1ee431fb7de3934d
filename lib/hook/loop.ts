import { AbortedError, messageOf, SpillwayError } from "../errors";
import type { DesiredParameters } from "../desired";
import {
  adopted,
  decide,
  desiredOf,
  initialState,
  parametersFor,
  sameDesired,
  settled,
  weightDistance,
  type Decision,
  type Desired,
  type Observation,
  type PolicyState,
  type Refusal,
} from "../policy";
import { attempt, type AttemptNote, type EventFact } from "./attempt";
import { afterFailure, NO_FAILURE, withMend, type BackOff } from "./back-off";
import type { ProviderProgress } from "./events";
import type { ParametersFile } from "./flip";
import type { Journal, JournalFact } from "./journal";
import type { BurstPolicy } from "./manifest";
import type { Clock, HookOptions } from "./options";
import { platformProgress } from "./platform-progress";
import type { PrePositioner } from "./pre-positioner";
import { tellingOf } from "./plan-text";
import { makeProposal } from "./proposal";
import { writeStatus } from "./status";
import { isShiftForeseen } from "./shift-ahead";
import { statusOf } from "./status-of";
import type { Terraform } from "./terraform";
import { verify } from "./verify";
import { WeightWatch } from "./weight-watch";

/** What the loop works with, made ready by `runHook`. */
export interface LoopParts {
  readonly options: HookOptions;
  readonly policy: BurstPolicy;
  readonly clock: Clock;
  readonly journal: Journal;
  readonly parameters: ParametersFile;
  readonly terraform: Terraform | undefined;
  readonly scratch: string;
  readonly statusFile: string;
  /** Fires when the hook is to end, or has lost its lease. */
  readonly signal: AbortSignal;
  readonly emit: (event: EventFact) => void;
  /** Undefined: the image is not brought nearer between bursts. */
  readonly prePositioner: PrePositioner | undefined;
  /** Undefined: the hook changes nothing, so nothing is prepared. */
  readonly shiftAhead: HookOptions["shiftAhead"];
}

/** An attempt that is going on while the loop goes on observing. */
interface Work {
  readonly wanted: DesiredParameters;
  readonly startedAt: number;
  readonly stop: AbortController;
  step: string;
  progress?: ProviderProgress;
  done: Promise<void>;
}

/** A state checkpoint is journaled so often, besides every decision. */
const REMEMBER_EVERY_MS = 10_000;

/**
 * observe, forecast, decide, check, flip, apply, verify. Level-triggered: at every turn, what is wanted is compared with what is in
 * force, so that nothing depends on having seen an event.
 */
export class Loop {
  private state: PolicyState;
  /** The parameters file as this hook wrote or read it last. */
  private file: DesiredParameters;
  /** What the last good apply brought about; undefined: not known, so it is applied again. */
  private inForce: Desired | undefined;
  private work: Work | undefined;
  private backOff: BackOff = NO_FAILURE;
  private observation: Observation | undefined;
  private decision: Decision | undefined;
  private lastChange: { at: number; action: Decision["action"]; reason: string } | undefined;
  private proposed: DesiredParameters | undefined;
  private rememberedAt = 0;
  private readonly weights: WeightWatch;
  /** What was said last of each thing that can be wrong: it is said again only when it changes. */
  private readonly said = new Map<string, string>();

  constructor(private readonly parts: LoopParts) {
    const { journal, clock } = parts;
    this.weights = new WeightWatch(parts.policy.confirmations);
    this.file = parts.parameters.read();
    const desired = desiredOf(this.file);
    const remembered = journal.recovered.state;
    this.proposed = journal.recovered.proposed;
    this.state = !remembered
      ? initialState(desired, clock.now())
      : sameDesired(remembered.desired, desired)
        ? remembered
        : adopted(remembered, desired, clock.now());
    // Someone who starts the hook has perhaps never applied: what the parameters say is made so first, whatever the journal says.
    this.note({ kind: "started", mode: parts.options.mode, pid: process.pid });
    this.note({ kind: "remembered", state: this.state });
    parts.emit({ kind: "started", mode: parts.options.mode, parameters: this.file });
  }

  /** Runs until the signal fires. */
  async run(): Promise<void> {
    const { signal, clock, policy } = this.parts;
    try {
      while (!signal.aborted) {
        const turnAt = clock.now();
        await this.turn();
        await clock.sleep(Math.max(0, policy.intervalMs - (clock.now() - turnAt)), signal);
      }
    } catch (error) {
      if (!(error instanceof AbortedError) || !signal.aborted) throw error;
    } finally {
      await Promise.all([this.stopWork("the hook stops"), this.parts.prePositioner?.stop("the hook stops")]);
      this.note({ kind: "remembered", state: this.state });
      this.note({ kind: "stopped" });
      this.parts.emit({ kind: "stopped" });
    }
  }

  /** The provider said something. */
  onProgress(progress: ProviderProgress): void {
    if (this.work) this.work.progress = progress;
    this.parts.emit({ kind: "progress", progress });
  }

  private tell(fact: EventFact): void {
    this.parts.emit(fact);
    const progress = fact.kind === "terraform" ? platformProgress(fact.event) : undefined;
    if (progress) this.onProgress({ ...progress, at: this.parts.clock.now() });
  }

  private async turn(): Promise<void> {
    const { clock, emit, options, policy, prePositioner, signal } = this.parts;
    try {
      const seen = await options.observe(signal);
      this.observation = prePositioner?.corrected(seen) ?? seen;
      emit({ kind: "observed", observation: this.observation });
      for (const site of [this.observation.onPrem, this.observation.cloud]) {
        const why = site.problem ?? "no answer";
        this.say(site.site, site.reachable ? undefined : `site ${site.site} cannot be asked: ${why}`);
      }
      if (!this.work) this.takeOverFile();
      const { state, decision } = decide(this.state, this.observation, policy, clock.now());
      this.accept(state, decision);
      this.prepareShift();
      this.bringImageNearer();
      await this.act();
      this.say("turn", undefined);
    } catch (error) {
      if (signal.aborted) throw error;
      this.say("turn", messageOf(error));
    }
    this.writeStatus();
  }

  /** Takes over what someone else wrote into the parameters. */
  private takeOverFile(): void {
    const { clock, parameters } = this.parts;
    const found = parameters.read();
    if (
      !sameDesired(desiredOf(found), desiredOf(this.file)) ||
      found.image_digest !== this.file.image_digest
    ) {
      this.state = adopted(this.state, desiredOf(found), clock.now());
      this.inForce = undefined;
      this.backOff = NO_FAILURE;
      this.note({ kind: "adopted", parameters: found, state: this.state });
    }
    this.file = found;
  }

  private accept(state: PolicyState, decision: Decision): void {
    const { clock, emit, journal } = this.parts;
    this.state = state;
    this.decision = decision;
    emit({ kind: "decided", decision });
    if (decision.action !== "hold") {
      this.note({ kind: "decided", decision, state });
      this.lastChange = { at: clock.now(), action: decision.action, reason: decision.reason };
      this.backOff = NO_FAILURE;
      this.rememberedAt = clock.now();
    } else if (clock.now() - this.rememberedAt >= REMEMBER_EVERY_MS) {
      this.note({ kind: "remembered", state });
      this.rememberedAt = clock.now();
    }
    const kept = this.parts.prePositioner?.toRemember ?? [];
    journal.rotateIfLarge([{ kind: "adopted", parameters: this.file, state }, ...kept], clock.now());
  }

  /** Users follow a shift sooner when caches have learned a lower TTL before. */
  private prepareShift(): void {
    const { clock, options, policy, shiftAhead } = this.parts;
    const { name, ttlSeconds } = options.manifest.record;
    const now = clock.now();
    if (isShiftForeseen(this.state, policy, ttlSeconds, now)) shiftAhead?.foresee([name], now);
  }

  /** Before anything is done about a decision: what is in the background gives way to a burst at once. */
  private bringImageNearer(): void {
    const { observation, state, work } = this;
    try {
      this.parts.prePositioner?.consider({ state, isApplying: work !== undefined, observation });
      this.say("image", undefined);
    } catch (error) {
      this.say("image", `the image cannot be brought nearer: ${messageOf(error)}`);
    }
  }

  private async act(): Promise<void> {
    if (this.parts.options.mode === "propose") return this.actByProposal();
    const { desired } = this.state;
    if (this.work) {
      const reversed = this.work.wanted.burst !== desired.burst;
      if (reversed && !this.work.stop.signal.aborted) {
        const why = `${desired.burst ? "out" : "home"} was decided while the other was under way: that is stopped`;
        this.parts.emit({ kind: "aborting", why });
        this.work.stop.abort();
      }
      return;
    }
    this.watchWeights();
    if (this.inForce && sameDesired(this.inForce, desired)) return this.settle();
    if (this.parts.clock.now() < this.backOff.nextTryAt) return;
    this.begin(parametersFor(desired, this.reason(), this.file));
  }

  /** The reason of the present file is kept when it already says what is wanted: no flip without a decision. */
  private reason(): string {
    if (sameDesired(desiredOf(this.file), this.state.desired)) return this.file.reason;
    return this.lastChange?.reason ?? this.file.reason;
  }

  private begin(wanted: DesiredParameters): void {
    const work: Work = {
      wanted,
      startedAt: this.parts.clock.now(),
      stop: new AbortController(),
      step: "plan",
      done: Promise.resolve(),
    };
    this.work = work;
    this.note({ kind: "intended", parameters: wanted });
    this.parts.emit({ kind: "intended", parameters: wanted });
    work.done = this.perform(work).finally(() => {
      if (this.work === work) this.work = undefined;
    });
  }

  private async perform(work: Work): Promise<void> {
    const { clock, emit, options, parameters, scratch, terraform } = this.parts;
    if (!terraform) return;
    try {
      const outcome = await attempt({
        manifest: options.manifest,
        terraform,
        parameters,
        scratch,
        wanted: work.wanted,
        observation: () => this.observation,
        advice: () => this.parts.prePositioner?.advice,
        telling: tellingOf(this.parts),
        signal: work.stop.signal,
        emit: (fact) => this.tell(fact),
        note: (note) => this.noteStep(work, note),
      });
      if (outcome.kind === "overtaken") {
        this.note({ kind: "aborted", why: "someone else changed the parameters meanwhile" });
        emit({ kind: "aborted" });
        return;
      }
      if (outcome.kind === "refused") return this.refused(outcome.refusals);
      work.step = "verify";
      emit({ kind: "applied", changed: outcome.changed, durationMs: clock.now() - work.startedAt });
      this.inForce = desiredOf(work.wanted);
      this.backOff = NO_FAILURE;
      if (sameDesired(this.inForce, this.state.desired)) this.state = settled(this.state, clock.now());
      this.note({ kind: "applied", changed: outcome.changed, state: this.state });
      const timeoutMs = options.verifyTimeoutMs ?? 10_000;
      const { signal } = work.stop;
      const seen = await verify({
        weights: work.wanted.weights,
        observe: options.observe,
        clock,
        timeoutMs,
        signal,
      });
      this.note({ kind: "verified", ...seen });
      emit({ kind: "verified", ...seen });
    } catch (error) {
      this.workFailed(work, error);
    }
  }

  private workFailed(work: Work, error: unknown): void {
    const { clock, emit, options } = this.parts;
    // What was applied stays applied, read back or not.
    if (work.step === "verify" && error instanceof AbortedError) return;
    this.inForce = undefined;
    if (error instanceof AbortedError || work.stop.signal.aborted) {
      this.note({ kind: "aborted", why: messageOf(error) });
      emit({ kind: "aborted" });
      return;
    }
    const problem = error instanceof SpillwayError ? withMend(error) : messageOf(error);
    this.backOff = afterFailure(this.backOff, problem, clock.now(), options.backOff);
    const { failures, nextTryAt } = this.backOff;
    this.note({ kind: "failed", problem, failures });
    emit({ kind: "failed", problem, failures, nextTryAt });
  }

  private noteStep(work: Work, note: AttemptNote): void {
    work.step = note.kind === "planned" ? "check" : note.kind === "flipped" ? "flip" : "apply";
    if (note.kind === "flipped") this.file = note.parameters;
    this.note(note);
  }

  private settle(): void {
    const next = settled(this.state, this.parts.clock.now());
    if (next === this.state) return;
    this.state = next;
    this.note({ kind: "remembered", state: this.state });
  }

  /** Someone removed or changed the record by hand: another apply puts it right. */
  private watchWeights(): void {
    const seen = this.observation?.recordWeights;
    if (!this.inForce || seen === undefined) return;
    const found = this.weights.look(seen, this.inForce.weights, this.parts.clock.now());
    if (found === "fits") this.say("weights", undefined);
    if (typeof found !== "object") return;
    this.say("weights", found.problem);
    this.inForce = undefined;
  }

  private async actByProposal(): Promise<void> {
    const { clock, emit, options, parameters, scratch, signal, terraform } = this.parts;
    const { desired } = this.state;
    if (sameDesired(desiredOf(this.file), desired)) {
      const seen = this.observation?.recordWeights;
      if (seen === undefined || weightDistance(seen, desired.weights) === 0) this.settle();
      return;
    }
    if (this.proposed && sameDesired(desiredOf(this.proposed), desired)) return;
    if (clock.now() < this.backOff.nextTryAt) return;
    const wanted = parametersFor(desired, this.reason(), this.file);
    const { manifest } = options;
    const observation = () => this.observation;
    const at = clock.now();
    try {
      const request = { manifest, parameters, scratch, terraform, wanted, observation, signal, emit, at };
      const outcome = await makeProposal({ ...request, telling: tellingOf(this.parts) });
      if (outcome.kind === "refused") return this.refused(outcome.refusals);
      const { branch, commit } = outcome;
      this.proposed = wanted;
      this.note({ kind: "proposed", parameters: wanted, branch, commit });
      emit({ kind: "proposed", parameters: wanted, branch, commit });
    } catch (error) {
      if (signal.aborted) throw error;
      this.backOff = afterFailure(this.backOff, messageOf(error), clock.now(), options.backOff);
      throw error;
    }
  }

  private refused(refusals: readonly Refusal[]): void {
    const { clock, emit, options } = this.parts;
    const problem = refusals.map((refusal) => `${refusal.address}: ${refusal.problem}`).join("; ");
    this.backOff = afterFailure(this.backOff, problem, clock.now(), options.backOff);
    this.note({ kind: "refused", refusals });
    emit({ kind: "refused", refusals, nextTryAt: this.backOff.nextTryAt });
  }

  private async stopWork(why: string): Promise<void> {
    const { work } = this;
    if (!work) return;
    this.parts.emit({ kind: "aborting", why });
    work.stop.abort();
    await work.done;
  }

  private say(about: string, problem: string | undefined): void {
    if (problem !== undefined && problem !== this.said.get(about)) {
      this.parts.emit({ kind: "problem", message: problem });
    }
    if (problem === undefined) this.said.delete(about);
    else this.said.set(about, problem);
  }

  private note(fact: JournalFact): void {
    // Samples are stale after any restart that matters, and would be most of the journal.
    const kept = "state" in fact ? { ...fact, state: { ...fact.state, samples: [] } } : fact;
    this.parts.journal.append(kept, this.parts.clock.now());
  }

  private writeStatus(): void {
    const { clock, options, policy, statusFile } = this.parts;
    const { backOff, decision, lastChange, observation, state, work } = this;
    const { mode, manifest } = options;
    const now = clock.now();
    writeStatus(
      statusFile,
      statusOf({
        burst: manifest.name,
        mode,
        now,
        policy,
        state,
        backOff,
        decision,
        lastChange,
        observation,
        work,
        prePosition: this.parts.prePositioner?.status(),
      }),
    );
  }
}
