import { execFile, execFileSync } from "node:child_process";
import { promisify } from "node:util";
import type { Observation, SiteObservation } from "../../../../lib/policy";
import type { HookEvent, Observer } from "../../../../lib/hook";

/** Demand that a test turns up and down, seen by an observer. */
export class World {
  demandRps = 50;
  onPremReachable = true;
  cloudReachable = true;
  onPremUp = 4;
  /** As many as may ever be wanted. */
  cloudUp = 8;
  recordWeights: Record<string, number> | undefined;
  looks = 0;

  observe: Observer = (signal) => {
    signal.throwIfAborted();
    this.looks += 1;
    return Promise.resolve(this.observation());
  };

  observation(at = Date.now()): Observation {
    const onPrem = site("onprem", this.onPremReachable, this.demandRps, 4, this.onPremUp);
    const cloud = site("cloud", this.cloudReachable, 0, this.cloudUp, this.cloudUp);
    return {
      at,
      onPrem,
      cloud,
      demandRps: (this.onPremReachable ? this.demandRps : 0) + cloud.demandRps,
      replicaBytesLeft: 0,
      dnsTailMs: 0,
      ...(this.recordWeights === undefined ? {} : { recordWeights: this.recordWeights }),
    };
  }
}

function site(
  name: string,
  reachable: boolean,
  demandRps: number,
  members: number,
  up: number,
): SiteObservation {
  return {
    site: name,
    reachable,
    ...(reachable ? {} : { problem: "nothing listens there" }),
    demandRps: reachable ? demandRps : 0,
    members,
    membersUp: reachable ? up : 0,
    memberCapacityRps: 100,
    sessions: 0,
    openConnections: 0,
    queued: 0,
    p95Ms: 10,
    failedTotal: 0,
    linkBps: 100_000_000,
  };
}

/** Events as they come, and a way to wait for one. */
export class Events {
  readonly all: HookEvent[] = [];
  private readonly waiters = new Set<() => void>();

  readonly push = (event: HookEvent): void => {
    this.all.push(event);
    for (const waiter of [...this.waiters]) waiter();
  };

  kinds(...wanted: HookEvent["kind"][]): HookEvent["kind"][] {
    return this.all.map(({ kind }) => kind).filter((kind) => wanted.length === 0 || wanted.includes(kind));
  }

  of<K extends HookEvent["kind"]>(kind: K): Extract<HookEvent, { kind: K }>[] {
    return this.all.filter((event): event is Extract<HookEvent, { kind: K }> => event.kind === kind);
  }

  /** The first event (after `after` of them) that fits. */
  async until(fits: (event: HookEvent) => boolean, timeoutMs = 15_000, after = 0): Promise<HookEvent> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const found = this.all.slice(after).find(fits);
      if (found) return found;
      const leftMs = deadline - Date.now();
      if (leftMs <= 0) throw new Error(`not seen within ${timeoutMs} ms; seen: ${this.summary()}`);
      await new Promise<void>((resolve) => {
        const done = () => {
          clearTimeout(timer);
          this.waiters.delete(done);
          resolve();
        };
        const timer = setTimeout(done, leftMs);
        this.waiters.add(done);
      });
    }
  }

  summary(): string {
    return JSON.stringify(
      this.all.filter(({ kind }) => kind !== "observed" && kind !== "decided" && kind !== "terraform"),
    );
  }
}

/** Terraform run by hand, as a user would with the hook dead. */
export function terraform(directory: string, ...args: string[]): string {
  return execFileSync("terraform", args, {
    cwd: directory,
    encoding: "utf8",
    env: { ...process.env, TF_CLI_CONFIG_FILE: "/dev/null", TF_IN_AUTOMATION: "1", CHECKPOINT_DISABLE: "1" },
  });
}

/** The same, for a Terraform that attaches to a provider in this very process. */
export async function attachedTerraform(
  directory: string,
  environment: NodeJS.ProcessEnv,
  ...args: string[]
): Promise<string> {
  const { stdout } = await promisify(execFile)("terraform", args, { cwd: directory, env: environment });
  return stdout;
}
