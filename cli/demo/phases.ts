import type { HookEvent } from "../../lib/hook/events";
import type { PhaseName, RunPhase } from "../../lib/report";
import type { SiteEvent } from "../../lib/site/api";
import type { Progress } from "../../lib/wait";

/** One thing that was seen, from any of the three who say something: the sites, the provider's waits, the hook. */
export type PhaseSignal =
  | { readonly at: number; readonly from: "site"; readonly site: string; readonly kind: SiteEvent["kind"] }
  | {
      readonly at: number;
      readonly from: "progress";
      readonly step: Progress["step"];
      readonly subject: string;
      /** The step is over, or there was nothing to do. */
      readonly done: boolean;
    }
  | { readonly at: number; readonly from: "hook"; readonly kind: "out" | "home" | "apply-ended" };

export interface PhaseOptions {
  readonly cloudSite: string;
  /** Milliseconds since 1970; phases are told from here. */
  readonly startedAt: number;
  /** A phase that is still going on ends here. */
  readonly endedAt: number;
  /** Users who hold an answer follow within it: a shift lasts so much longer than the record's change. @default 0 */
  readonly recordTtlMs?: number;
}

export function signalOfSiteEvent(site: string, event: SiteEvent): PhaseSignal {
  return { at: event.at, from: "site", site, kind: event.kind };
}

export function signalOfProgress(progress: Progress, at: number): PhaseSignal {
  return {
    at,
    from: "progress",
    step: progress.step,
    subject: progress.subject,
    done: progress.fraction === 1,
  };
}

/** Undefined for an event that says nothing of phases. */
export function signalOfHookEvent(event: HookEvent): PhaseSignal | undefined {
  switch (event.kind) {
    case "flipped":
      return { at: event.at, from: "hook", kind: event.parameters.burst ? "out" : "home" };
    case "applied":
    case "aborted":
    case "failed":
      return { at: event.at, from: "hook", kind: "apply-ended" };
    case "progress":
      return signalOfProgress(event.progress, event.progress.at);
    default:
      return undefined;
  }
}

/**
 * The phases of a run, in order. A burst that comes home and goes out again has each phase twice; a drain that is cancelled is
 * followed by a shift. Works without a hook too: by-hand applies are told by what the sites did.
 *
 * | phase     | begins                                      | ends |
 * |-----------|---------------------------------------------|------|
 * | transfer  | first word of a transfer to the cloud       | the image is complete there |
 * | launch    | the cloud pool is created                   | its last member is up |
 * | admit     | then                                        | the gate opens |
 * | shift     | then                                        | the record's last change in that apply, and its TTL |
 * | burst     | then                                        | the record changes on the way home |
 * | drain     | then                                        | the first member is told to leave |
 * | take-down | then                                        | the pool is gone |
 */
export function phasesOf(signals: readonly PhaseSignal[], options: PhaseOptions): readonly RunPhase[] {
  const walk = new PhaseWalk();
  for (const signal of [...signals].sort((a, b) => a.at - b.at)) {
    if (signal.from === "site") siteSignal(walk, signal.kind, signal.at, signal.site === options.cloudSite);
    else if (signal.from === "hook") hookSignal(walk, signal.kind, signal.at);
    else progressSignal(walk, signal, options.cloudSite);
  }
  if (walk.is("shift") && walk.lastAt > walk.openedAt) walk.open("burst", walk.lastAt);
  walk.close(Math.max(options.endedAt, walk.openedAt));
  return withTail(walk.closed, options.recordTtlMs ?? 0).map(({ name, startMs, endMs }) => ({
    name,
    startMs: startMs - options.startedAt,
    endMs: endMs - options.startedAt,
  }));
}

/** Lets each shift last for the record's TTL, at the cost of the stay after it. */
function withTail(phases: readonly RunPhase[], tailMs: number): readonly RunPhase[] {
  return phases.map((phase, index) => {
    const next = phases[index + 1];
    const before = phases[index - 1];
    if (phase.name === "shift" && next?.name === "burst") {
      return { ...phase, endMs: Math.min(phase.endMs + tailMs, next.endMs) };
    }
    if (phase.name === "burst" && before?.name === "shift") {
      return { ...phase, startMs: Math.min(phase.startMs + tailMs, phase.endMs) };
    }
    return phase;
  });
}

/** At most one phase is open. `lastAt` is the last sign of it, where its end is only known afterwards. */
class PhaseWalk {
  readonly closed: RunPhase[] = [];
  name: PhaseName | undefined;
  openedAt = 0;
  lastAt = 0;
  wantsHome = false;
  /** Changes of the record in this shift: when the last of them was, and the last sign of the shift before it. */
  private changes = { count: 0, at: 0, signBefore: 0 };

  open(name: PhaseName, at: number): void {
    this.close(at);
    this.name = name;
    this.openedAt = at;
    this.lastAt = at;
    this.changes = { count: 0, at, signBefore: at };
  }

  recordChanged(at: number): void {
    this.changes = { count: this.changes.count + 1, at, signBefore: this.lastAt };
    this.lastAt = at;
  }

  /**
   * Users are leaving, and nobody said when the shift was over (an apply by hand): it was, before the record's last change, which was
   * the way home's.
   */
  drainAfterShift(at: number): void {
    const { count, at: changedAt, signBefore } = this.changes;
    const wayHomeSeen = count > 1;
    this.open("burst", wayHomeSeen ? signBefore : this.lastAt);
    this.open("drain", wayHomeSeen ? changedAt : at);
  }

  close(at: number): void {
    if (this.name !== undefined) this.closed.push({ name: this.name, startMs: this.openedAt, endMs: at });
    this.name = undefined;
  }

  is(...names: PhaseName[]): boolean {
    return this.name !== undefined && names.includes(this.name);
  }
}

function siteSignal(walk: PhaseWalk, kind: SiteEvent["kind"], at: number, inCloud: boolean): void {
  if (kind === "record-changed") return recordChanged(walk, at);
  if (!inCloud) return;
  switch (kind) {
    case "image-complete":
      if (walk.is("transfer")) walk.close(at);
      break;
    case "pool-created":
      if (!walk.is("launch")) walk.open("launch", at);
      break;
    case "member-up":
      if (walk.is("launch")) walk.lastAt = at;
      break;
    case "gate-opened":
      if (walk.is("launch")) walk.open("admit", walk.lastAt);
      if (walk.is("admit")) walk.open("shift", at);
      walk.wantsHome = false;
      break;
    case "member-draining":
      if (walk.is("drain")) walk.open("take-down", at);
      break;
    case "pool-failed":
      if (walk.is("launch") && walk.lastAt > walk.openedAt) walk.open("admit", walk.lastAt);
      if (walk.is("launch", "admit")) walk.close(at);
      break;
    case "pool-gone":
      walk.close(at);
      walk.wantsHome = false;
      break;
  }
}

function recordChanged(walk: PhaseWalk, at: number): void {
  if (walk.is("shift")) walk.recordChanged(at);
  else if (walk.is("burst") && walk.wantsHome) walk.open("drain", at);
}

function hookSignal(walk: PhaseWalk, kind: "out" | "home" | "apply-ended", at: number): void {
  if (kind === "apply-ended") {
    if (walk.is("shift") && walk.lastAt > walk.openedAt) walk.open("burst", walk.lastAt);
    return;
  }
  if (kind === "home") {
    walk.wantsHome = true;
    if (walk.is("shift")) walk.open("burst", walk.lastAt);
    return;
  }
  walk.wantsHome = false;
  if (walk.is("drain")) walk.open("shift", at);
}

function progressSignal(
  walk: PhaseWalk,
  signal: PhaseSignal & { readonly from: "progress" },
  cloudSite: string,
): void {
  if (signal.step === "direct") {
    if (walk.is("shift")) walk.lastAt = signal.at;
    return;
  }
  if (!signal.subject.startsWith(`${cloudSite}/`)) return;
  switch (signal.step) {
    case "transfer":
      if (walk.is("transfer") && signal.done) walk.close(signal.at);
      else if (walk.name === undefined && !signal.done) walk.open("transfer", signal.at);
      break;
    case "launch":
      if ((walk.name === undefined || walk.is("transfer")) && !signal.done) walk.open("launch", signal.at);
      break;
    case "quiesce":
      if (walk.is("shift")) walk.drainAfterShift(signal.at);
      else if (walk.is("burst")) walk.open("drain", signal.at);
      break;
    case "take-down":
      if (walk.is("drain")) walk.open("take-down", signal.at);
      break;
  }
}
