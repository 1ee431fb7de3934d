import { randomBytes } from "node:crypto";
import { messageOf } from "../../errors";
import type { PoolStatus } from "../api";
import type { BalancerMemberView, SitePorts } from "../ports";
import type { EventLog } from "./event-log";
import { MemberTasks } from "./member-tasks";
import { type PoolFacts, planPool } from "./pool-plan";
import { balancerPool, phaseOf, poolStatus, problemOfPool } from "./pool-status";
import { isRefusal } from "./problems";
import type { Reviver } from "./reviver";
import type { PoolRecord } from "./state";

const BUSY_MS = 150;
const CALM_MS = 500;
const TROUBLE_MS = 1_000;
const PORT_RETRY_MS = 5_000;

export interface PoolLoopContext {
  readonly site: string;
  readonly ports: SitePorts;
  readonly events: EventLog;
  readonly balancer: Reviver;
  readonly log: (line: string) => void;
  readonly save: () => Promise<void>;
  readonly imagePath: (digest: string) => string;
  /** The pool is gone from balancer and site; forgets its record and makes that last. */
  readonly forget: (record: PoolRecord) => Promise<void>;
}

/**
 * Brings one pool from what it is to what it should be, and keeps it there. Level-triggered: each turn looks at everything, plans
 * one step, writes it down, then acts. What an action does shows at a later look, so nothing depends on one that was cut off.
 */
export class PoolLoop {
  private view: ReadonlyMap<string, BalancerMemberView> | undefined;
  private trouble: string | undefined;
  private logged: string | undefined;
  /** What the balancer was told last; undefined when it may have forgotten. */
  private told: string | undefined;
  private drained: ReadonlySet<string> = new Set();
  private portRetryAt = 0;
  private phase: PoolStatus["phase"] | undefined;
  private readonly tasks: MemberTasks;
  private stopped = false;
  private running: Promise<void> = Promise.resolve();
  private wake: () => void = () => undefined;
  private kicked = false;
  private waiters: (() => void)[] = [];

  constructor(
    readonly record: PoolRecord,
    private readonly context: PoolLoopContext,
  ) {
    this.tasks = new MemberTasks(record, context, () => this.kick());
  }

  /** Takes up the members that run already, does a first turn, and goes on in the background. */
  async start(): Promise<void> {
    for (const { id, handle, phase } of this.record.members) {
      if (!handle || (phase !== "running" && phase !== "draining")) continue;
      if (await this.context.ports.launcher.isRunning(handle)) {
        this.context.events.add("member-adopted", id, `at ${handle.address}:${handle.port}`);
      }
    }
    this.phase = this.currentPhase();
    await this.turn();
    this.running = this.run();
  }

  /** The next turn comes at once. */
  kick(): void {
    this.kicked = true;
    this.wake();
  }

  /** Resolves after a turn that began after this call. */
  settled(): Promise<void> {
    return new Promise((resolve) => {
      if (this.stopped) return resolve();
      this.waiters.push(resolve);
      this.kick();
    });
  }

  /** Stops looking. Members, and what the balancer does, stay as they are. */
  async stop(): Promise<void> {
    this.stopped = true;
    this.wake();
    await this.running;
    await this.tasks.stop();
  }

  status(): PoolStatus {
    const { view, trouble } = this;
    return poolStatus(this.context.site, this.record, { view, trouble, inSync: this.inSync() }, Date.now());
  }

  private async run(): Promise<void> {
    while (!this.stopped) {
      await this.pause();
      if (this.stopped) break;
      const waiters = this.waiters.splice(0);
      await this.turn();
      for (const resolve of waiters) resolve();
    }
    for (const resolve of this.waiters.splice(0)) resolve();
  }

  private async pause(): Promise<void> {
    if (!this.kicked) {
      const pauseMs = this.trouble ? TROUBLE_MS : this.isCalm() ? CALM_MS : BUSY_MS;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, pauseMs);
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.wake = () => undefined;
    }
    this.kicked = false;
  }

  private async turn(): Promise<void> {
    try {
      this.trouble = undefined;
      await this.step();
    } catch (error) {
      this.trouble = messageOf(error);
      if (this.trouble !== this.logged) this.context.log(`pool ${this.record.name}: ${this.trouble}`);
    }
    this.logged = this.trouble;
    this.tellPhase();
  }

  private async step(): Promise<void> {
    const { record, context } = this;
    const facts = await this.look();
    const before = JSON.stringify(record);
    const plan = planPool(record, facts);
    record.members = plan.members;
    Object.assign(record, plan.quiesce);
    for (const { kind, subject, detail } of plan.events) context.events.add(kind, subject, detail);
    if (JSON.stringify(record) !== before) await context.save();
    if (record.leaving && record.members.length === 0) return this.finish();
    await this.tellBalancer();
    const launches = record.failed?.cause !== "port-taken";
    this.tasks.act({ launches, ends: this.inSync() });
  }

  private async look(): Promise<PoolFacts> {
    const { launcher } = this.context.ports;
    const drained = this.drained;
    this.view = await this.askBalancer();
    const alive = new Set<string>();
    const dead = new Map<string, string>();
    await Promise.all(
      this.record.members.map(async ({ id, handle, phase }) => {
        if (!handle || (phase !== "running" && phase !== "draining")) return;
        if (await launcher.isRunning(handle)) alive.add(id);
        else dead.set(id, lastLines(await launcher.lastWords(handle).catch(() => "")));
      }),
    );
    const newId = () => `${this.record.name}-${randomBytes(4).toString("hex")}`;
    return { now: Date.now(), view: this.view, alive, dead, drained, newId };
  }

  private async askBalancer(): Promise<ReadonlyMap<string, BalancerMemberView> | undefined> {
    const { ports, balancer } = this.context;
    try {
      // One that runs without what it needs may answer, and even take half of what it is told.
      balancer.mustBeThere();
      const seen = await ports.balancer.view(this.record.name);
      balancer.answered();
      if (!seen) this.told = undefined;
      return new Map(seen?.members.map((member) => [member.id, member]));
    } catch (error) {
      this.told = undefined;
      this.drained = new Set();
      this.trouble = `the balancer does not answer: ${messageOf(error)}`;
      await balancer.revive(error).then(
        () => this.kick(),
        (failed: unknown) => (this.trouble = `the balancer cannot be started: ${messageOf(failed)}`),
      );
      return undefined;
    }
  }

  /** Told whole, and only when it changes. */
  private async tellBalancer(): Promise<void> {
    const { record } = this;
    const now = Date.now();
    const key = this.wanted();
    if (key === this.told) return;
    const taken = record.failed?.cause === "port-taken";
    if (taken && now < this.portRetryAt) return;
    const pool = balancerPool(record, now);
    try {
      await this.context.ports.balancer.put(pool);
    } catch (error) {
      // An address that is not this machine's is refused as a taken port is: asking again changes nothing by itself.
      if (!isRefusal(error)) throw error;
      this.portRetryAt = now + PORT_RETRY_MS;
      record.failed = { cause: "port-taken", problem: messageOf(error) };
      await this.context.save();
      return;
    }
    this.told = key;
    this.drained = new Set(pool.members.filter(({ draining }) => draining).map(({ id }) => id));
    if (taken) {
      record.failed = undefined;
      await this.context.save();
    }
  }

  private async finish(): Promise<void> {
    await this.context.ports.balancer.remove(this.record.name);
    this.told = undefined;
    // It may have been asked for again meanwhile.
    if (!this.record.leaving || this.record.members.length > 0) return;
    await this.context.forget(this.record);
    this.context.events.add("pool-gone", this.record.name, "every member has ended");
    this.stopped = true;
  }

  private tellPhase(): void {
    const phase = this.currentPhase();
    if (phase === "failed" && this.phase !== "failed") {
      this.context.events.add("pool-failed", this.record.name, problemOfPool(this.record) ?? "");
    }
    this.phase = phase;
  }

  private currentPhase(): PoolStatus["phase"] {
    return phaseOf(this.record, this.inSync());
  }

  private isCalm(): boolean {
    return this.phase === "ready" && this.record.members.every((member) => member.upSince !== undefined);
  }

  private inSync(): boolean {
    return this.told !== undefined && this.told === this.wanted();
  }

  /** The remaining time of a quiesce runs down without being news to the balancer. */
  private wanted(): string {
    const { forMs, ...quiesce } = { ...balancerPool(this.record, Date.now()).quiesce, afterMs: 0 };
    const rest = { ...balancerPool(this.record, 0), quiesce: undefined };
    const { quiesceFrom, quiesceUntil } = this.record;
    return JSON.stringify([rest, quiesce, quiesceFrom, forMs === 0 ? 0 : quiesceUntil]);
  }
}

function lastLines(words: string): string {
  return words.split("\n").slice(-5).join(" | ").slice(-500);
}
