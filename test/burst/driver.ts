import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { startHook, type HookProcess } from "../../cli/demo/hook-process";
import type { LoadTotals } from "../../cli/demo/load";
import { readJournal, stateDirectory, type HookEvent } from "../../lib/hook";
import type { Progress } from "../../lib/wait";
import { Stage } from "./stage";

/** A hook that decides as soon as it sees anything, so that tests need not wait. Two members on premises carry 400 rps. */
const HASTY = {
  burstAbove: 0.1,
  homeBelow: 0.05,
  confirmations: 1,
  homeAfterMs: 1_000,
  minimumStayMs: 1_000,
  launchEstimateMs: 1_000,
  intervalMs: 300,
  minCloudMembers: 2,
  maxCloudMembers: 2,
} as const;

/** Below and above what {@link HASTY} makes of 400 rps. */
const FEW_RPS = 8;
const CROWD_RPS = 60;

/** A stage for a hasty hook: a few users are always there, and a crowd comes and goes. */
export class Trial {
  private readonly drivers: Driver[] = [];
  private crowdGoes: (() => Promise<LoadTotals>) | undefined;
  private readonly crowds: LoadTotals[] = [];

  private constructor(readonly stage: Stage) {}

  static async open(linkMbps: number): Promise<Trial> {
    const trial = new Trial(await Stage.open({ policy: HASTY, linkMbps }));
    // One that asks so seldom and keeps old answers would come back to a site that was rightly taken for empty.
    await trial.stage.usersCome(FEW_RPS, { ttlIgnoringShare: 0 });
    return trial;
  }

  async close(): Promise<void> {
    await this.endHooks();
    await this.stage.close();
  }

  /** A new `spillway run`. */
  drive(): Driver {
    const driver = new Driver(this.stage);
    this.drivers.push(driver);
    return driver;
  }

  /** For after each test: one that failed leaves its hook behind. */
  async endHooks(): Promise<void> {
    for (const driver of this.drivers.splice(0)) await driver.stop();
  }

  /** There with a crowd, demand asks for the cloud; without it, it does not. */
  async crowd(there: boolean): Promise<void> {
    if (there) this.crowdGoes ??= await this.stage.crowdComes(CROWD_RPS);
    else if (this.crowdGoes) {
      const totals = await this.crowdGoes();
      this.crowdGoes = undefined;
      this.crowds.push(totals);
    }
  }

  /** Every user goes; none has ever had to see a failure. */
  async expectNoFailure(atLeastRequests: number): Promise<void> {
    await this.crowd(false);
    const all = [await this.stage.usersGo(), ...this.crowds];
    expect(all.flatMap(({ firstFailures }) => firstFailures)).toEqual([]);
    expect(all.reduce((sum, { failed }) => sum + failed, 0)).toBe(0);
    expect(all.reduce((sum, { requests }) => sum + requests, 0)).toBeGreaterThan(atLeastRequests);
  }

  /** Weights that the name server answers with. */
  async weights(): Promise<Readonly<Record<string, number>>> {
    const record = await this.stage.sites.get("onprem").record("shop.example.test");
    return Object.fromEntries((record?.spec.answers ?? []).map(({ site, weight }) => [site, weight]));
  }

  /** What the cloud has kept of the image would leave nothing to transfer. */
  async forgetImage(): Promise<void> {
    const cloud = this.stage.sites.get("cloud");
    for (const image of await cloud.images()) await cloud.deleteImage(image.digest);
  }
}

/** A phase of the way out or home, and how it is known that it has begun. */
export interface BurstPhase {
  readonly name: string;
  readonly out: boolean;
  readonly begun: (said: Progress) => boolean;
  /** Over in a moment, so that a signal may also hit what comes just after it. Begins with the first change of such a resource. */
  readonly moment?: string;
}

export const PHASES = {
  transfer: { name: "transfer", out: true, begun: ({ message }) => / are there: sent /.test(message) },
  launch: { name: "launch", out: true, begun: ({ step }) => step === "launch" },
  admit: { name: "admit", out: true, begun: ({ step }) => step === "admit" },
  shift: {
    name: "shift",
    out: true,
    begun: ({ step }) => step === "direct",
    moment: "spillway_global_record",
  },
  drain: { name: "drain", out: false, begun: ({ step }) => step === "quiesce" },
  takeDown: {
    name: "take-down",
    out: false,
    begun: ({ step }) => step === "take-down",
    moment: "spillway_pool",
  },
} as const satisfies Record<string, BurstPhase>;

type EventOf<K extends HookEvent["kind"]> = Extract<HookEvent, { kind: K }>;

/** `spillway run` on a stage. */
export class Driver {
  private readonly hook: HookProcess;
  private readonly reactions: ((event: HookEvent) => void)[] = [];

  constructor(private readonly stage: Stage) {
    this.hook = startHook(stage.dir, (event) => this.reactions.forEach((react) => react(event)));
  }

  events<K extends HookEvent["kind"]>(kind: K): EventOf<K>[] {
    return this.hook.events.filter((event): event is EventOf<K> => event.kind === kind);
  }

  /** Waits until what it said makes true what is asked; tells what it said last when it never does. */
  async until(what: string, isSo: () => boolean, deadlineMs = 60_000): Promise<void> {
    try {
      await this.stage.until(
        what,
        () => {
          if (isSo()) return true;
          if (!this.hook.running())
            throw new Error(`the hook ended before ${what}: ${this.hook.complaint()}`);
          return false;
        },
        deadlineMs,
      );
    } catch (error) {
      const said = this.hook.events.filter(({ kind }) => kind !== "observed" && kind !== "terraform");
      const last = said.slice(-25).map((event) => JSON.stringify(event).slice(0, 600));
      throw new Error(`${(error as Error).message}\n${last.join("\n")}`, { cause: error });
    }
  }

  /** The way out, or home, is in force: applied and read back from the name server. */
  untilInForce(out: boolean): Promise<void> {
    return this.until(`the burst is ${out ? "out" : "home"}`, () => {
      const asked = this.hook.events.findLast(({ kind }) => kind === "intended") as
        EventOf<"intended"> | undefined;
      const since = asked === undefined ? [] : this.hook.events.slice(this.hook.events.indexOf(asked));
      return (
        asked?.parameters.burst === out && since.some((event) => event.kind === "verified" && event.inForce)
      );
    });
  }

  /** Sends signals in the moment in which a phase of an apply begins, and waits for the end. */
  async signalIn(
    phase: BurstPhase,
    ...signals: NodeJS.Signals[]
  ): Promise<{ code: number | null; tookMs: number }> {
    let sentAt: number | undefined;
    this.reactions.push((event) => {
      if (sentAt !== undefined || !hasBegun(phase, event)) return;
      if (this.stage.parameters().burst !== phase.out) return;
      sentAt = Date.now();
      for (const signal of signals) process.kill(this.hook.pid, signal);
    });
    await this.until(`${phase.name} has begun`, () => sentAt !== undefined);
    const code = await this.hook.ended;
    const last = this.hook.events.findLast(({ kind }) => kind === "applying" || kind === "applied");
    if (phase.moment === undefined) expect(last?.kind).toBe("applying");
    return { code, tookMs: Date.now() - (sentAt ?? Number.NaN) };
  }

  /** kill -9. */
  async kill(): Promise<void> {
    process.kill(this.hook.pid, "SIGKILL");
    await this.hook.ended;
  }

  /** Ctrl-C. */
  async stop(): Promise<number | null> {
    await this.hook.stop();
    return this.hook.ended;
  }
}

function hasBegun(phase: BurstPhase, event: HookEvent): boolean {
  if (event.kind === "progress") return phase.begun(event.progress);
  if (event.kind !== "terraform" || phase.moment === undefined) return false;
  const { type, address } = event.event;
  return type === "apply_start" && address !== undefined && address.startsWith(phase.moment);
}

/** What a hook has left in its directory. */
export function leftByHook(stage: Stage): {
  readonly lease: boolean;
  /** Folders for plans, with their permissions. */
  readonly scratch: readonly { readonly mode: number; readonly files: readonly string[] }[];
} {
  const { path } = stateDirectory(stage.dir, "shop");
  const names = readdirSync(path);
  return {
    lease: names.includes("lease.json"),
    scratch: names
      .filter((name) => name.startsWith("scratch-"))
      .map((name) => ({
        mode: statSync(join(path, name)).mode & 0o777,
        files: readdirSync(join(path, name)),
      })),
  };
}

/** Every whole line of the journal is an entry, numbered one after the other. */
export function expectReadableJournal(stage: Stage): void {
  const { journal } = stateDirectory(stage.dir, "shop");
  const { entries } = readJournal(journal);
  const lines = readFileSync(journal, "utf8").split("\n").slice(0, -1);
  expect(entries).toHaveLength(lines.length);
  expect(entries.map(({ seq }) => seq)).toEqual(entries.map((_, index) => index + 1));
}
