import { AbortedError, messageOf } from "../../errors";
import { sleep } from "../../wait";
import type { MemberHandle } from "../ports";
import type { PoolLoopContext } from "./pool-loop";
import { afterDeath } from "./pool-plan";
import type { MemberRecord, PoolRecord } from "./state";

/** A member that is ended gets so long to finish what it does. */
const END_GRACE_MS = 5_000;
/** Requests that the balancer had given to a member when it was taken out get so long. */
const LAST_REQUESTS_MS = 2_000;
const LAUNCHES_AT_ONCE = 8;
const AFTER_FAILURE_MS = 1_000;

interface Task {
  readonly kind: "launch" | "end";
  readonly abort: AbortController;
  done: Promise<void>;
}

/** Launches and ends a pool's members in the background, one task for each member at a time. */
export class MemberTasks {
  private readonly tasks = new Map<string, Task>();
  /** Until when nothing is tried for a member, because what was tried failed. */
  private readonly notBefore = new Map<string, number>();
  private stopped = false;

  constructor(
    private readonly record: PoolRecord,
    private readonly context: PoolLoopContext,
    private readonly changed: () => void,
  ) {}

  /** Starts what the record asks for. `ends`: the balancer knows which members are to go. */
  act(may: { readonly launches: boolean; readonly ends: boolean }): void {
    for (const member of this.record.members) {
      if (Date.now() < (this.notBefore.get(member.id) ?? 0)) continue;
      const task = this.tasks.get(member.id);
      if (member.phase === "launching" && !task && may.launches && this.launching < LAUNCHES_AT_ONCE) {
        this.begin(member.id, "launch", (signal) => this.launch(member, signal));
      }
      if (member.phase === "ending" && task?.kind !== "end" && (may.ends || !member.handle)) {
        task?.abort.abort();
        const before = task?.done ?? Promise.resolve();
        this.begin(member.id, "end", () => before.then(() => this.end(member)));
      }
    }
  }

  /** Gives up launches and waits for what cannot be given up. */
  async stop(): Promise<void> {
    this.stopped = true;
    for (const { kind, abort } of this.tasks.values()) if (kind === "launch") abort.abort();
    await Promise.all([...this.tasks.values()].map(({ done }) => done));
  }

  private get launching(): number {
    return [...this.tasks.values()].filter(({ kind }) => kind === "launch").length;
  }

  private begin(id: string, kind: Task["kind"], work: (signal: AbortSignal) => Promise<void>): void {
    const abort = new AbortController();
    const task: Task = { kind, abort, done: Promise.resolve() };
    this.tasks.set(id, task);
    task.done = work(abort.signal)
      .then(
        () => void this.notBefore.delete(id),
        (error: unknown) => {
          this.notBefore.set(id, Date.now() + AFTER_FAILURE_MS);
          this.context.log(`member ${id}: ${kind} failed: ${messageOf(error)}`);
        },
      )
      .finally(() => {
        if (this.tasks.get(id) === task) this.tasks.delete(id);
        this.changed();
      });
  }

  private async launch(member: MemberRecord, signal: AbortSignal): Promise<void> {
    const { launcher } = this.context.ports;
    let handle: MemberHandle;
    try {
      handle = await launcher.launch(
        {
          id: member.id,
          pool: this.record.name,
          site: this.context.site,
          digest: member.image,
          imagePath: this.context.imagePath(member.image),
          address: memberAddress(this.record.spec.listen.address),
          environment: member.environment,
        },
        signal,
      );
    } catch (error) {
      if (error instanceof AbortedError || signal.aborted) return;
      await this.change(member.id, (now) =>
        now.phase === "launching"
          ? afterDeath(now, `it cannot be launched: ${messageOf(error)}`, Date.now())
          : now,
      );
      return;
    }
    const known = await this.change(member.id, (now) =>
      now.phase === "launching"
        ? { ...now, phase: "running", handle, launchedAt: Date.now(), problem: undefined }
        : { ...now, handle },
    );
    if (known) this.context.events.add("member-launched", member.id, `at ${handle.address}:${handle.port}`);
  }

  private async end(member: MemberRecord): Promise<void> {
    const { launcher } = this.context.ports;
    const present = this.record.members.find(({ id }) => id === member.id) ?? member;
    if (present.handle) await this.lastRequests(member.id);
    await launcher.end(present.handle ?? { id: member.id, notes: {}, address: "", port: 0 }, END_GRACE_MS);
    this.record.members = this.record.members.filter(({ id }) => id !== member.id);
    await this.context.save();
    this.context.events.add("member-ended", member.id, present.problem ?? "");
  }

  private async lastRequests(id: string): Promise<void> {
    const deadline = Date.now() + LAST_REQUESTS_MS;
    while (Date.now() < deadline) {
      const pool = await this.context.ports.balancer.view(this.record.name).catch(() => undefined);
      const seen = pool?.members.find((member) => member.id === id);
      if (!seen || seen.inFlight === 0) return;
      await sleep(50);
    }
  }

  /** False when there is no such member any more, or the agent is stopping. */
  private async change(id: string, make: (now: MemberRecord) => MemberRecord): Promise<boolean> {
    if (!this.record.members.some((member) => member.id === id)) return false;
    this.record.members = this.record.members.map((member) => (member.id === id ? make(member) : member));
    await this.context.save();
    return !this.stopped;
  }
}

/** Members listen where the balancer does; where that is everywhere, on loopback. */
function memberAddress(listen: string): string {
  if (listen === "0.0.0.0") return "127.0.0.1";
  return listen === "::" ? "::1" : listen;
}
