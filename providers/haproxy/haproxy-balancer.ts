import { mkdirSync } from "node:fs";
import type { Balancer, BalancerPool, BalancerPoolView, PartCheck } from "../../lib/site/ports";
import { NO_QUIESCE, nextOrder } from "../local/balancer/quiesce";
import { AttachedDaemon } from "./attached";
import type { Daemon } from "./daemon";
import { diagnoseHaproxy } from "./doctor";
import { ManagedDaemon } from "./managed";
import { reconcile } from "./reconcile";
import { checkProgram } from "./program-check";
import { PoolFile, type SavedPool } from "./saved-pools";
import { serverName } from "./names";
import type { HaproxySettings } from "./settings";
import { RuntimeSilence } from "./runtime-client";
import { Memory } from "./memory";
import { lookAt } from "./look";
import { holdsPool, poolView } from "./pool-view";

const RETRY_MS = 500;

/** How a site's HAProxy is run. */
export interface HaproxyOptions {
  /** Private folder for what must be remembered: pools, and a managed HAProxy's configuration, sockets and log. */
  readonly stateDir: string;
  /** A HAProxy of the user's own, whose configuration holds the pools' stanzas. @default - Spillway runs one */
  readonly attach?: AttachOptions;
  /** The program, for a HAProxy that Spillway runs. @default - `haproxy` of PATH or of a usual folder */
  readonly program?: string;
  readonly settings?: HaproxySettings;
}

/** Where a HAProxy that runs already takes commands. */
export interface AttachOptions {
  /** Its `stats socket` with `level admin`: a path, or `host:port`. */
  readonly socket: string;
  /** Its master's socket (`haproxy -W -S PATH`), by which the users of workers from before a reload are seen. @default - none */
  readonly masterSocket?: string;
}

/**
 * A site's balancer that is a real HAProxy (2.6 or later). Members come and go over its Runtime API; what it holds of a pool is
 * compared with what it should hold at every look, so that a reload, a restart or an order that was cut off mends itself.
 */
export class HaproxyBalancer implements Balancer {
  readonly kind = "haproxy";
  private readonly daemon: Daemon;
  private readonly file: PoolFile;
  private readonly settings: HaproxySettings;
  private readonly memories = new Map<string, Memory>();
  private pools: SavedPool[] | undefined;
  private retriedAt = -Infinity;
  private turn: Promise<unknown> = Promise.resolve();

  constructor(private readonly options: HaproxyOptions) {
    this.settings = options.settings ?? {};
    this.file = new PoolFile(options.stateDir);
    this.daemon = options.attach
      ? new AttachedDaemon(options.attach, options.stateDir, this.settings)
      : new ManagedDaemon(options.stateDir, this.settings, options.program);
  }

  /**
   * {@link Balancer.start}
   * @throws SpillwayError when a managed HAProxy does not come up, or an attached one cannot be used
   */
  start(): Promise<void> {
    return this.inTurn(async () => {
      mkdirSync(this.options.stateDir, { recursive: true, mode: 0o700 });
      this.pools = this.file.read();
      await this.daemon.start(this.pools);
      // Members come back with the first look at their pool; what was ordered of users holds from now on.
      for (const pool of this.pools) {
        const { sights } = await lookAt(this.daemon, pool.spec);
        if (holdsPool(sights)) await reconcile(this.daemon.client, pool, this.settings);
      }
    });
  }

  /** {@link Balancer.put} */
  put(spec: BalancerPool): Promise<void> {
    return this.inTurn(() =>
      this.alive(async () => {
        const pools = this.known();
        const present = pools.find((pool) => pool.spec.name === spec.name);
        const order = nextOrder(present?.order ?? NO_QUIESCE, spec.quiesce, Date.now());
        const wanted = new Set(spec.members.map(({ id }) => serverName(id)));
        const pool = { spec, order, up: (present?.up ?? []).filter((name) => wanted.has(name)) };
        const next = [...pools.filter((other) => other !== present), pool];
        await this.daemon.provide(next);
        this.keep(next);
        const drained = present?.spec.members.filter(({ draining }) => draining).map(({ id }) => id);
        const staying = new Set(spec.members.filter(({ draining }) => !draining).map(({ id }) => id));
        const calledOff = new Set(drained?.filter((id) => staying.has(id)));
        await reconcile(this.daemon.client, pool, this.settings, calledOff);
      }),
    );
  }

  /** {@link Balancer.view} */
  view(name: string): Promise<BalancerPoolView | undefined> {
    return this.inTurn(() =>
      this.alive(async () => {
        const pool = this.known().find(({ spec }) => spec.name === name);
        if (pool === undefined) return undefined;
        const memory = this.memoryOf(name);
        let { sights, unseen } = await lookAt(this.daemon, pool.spec);
        if (!holdsPool(sights)) {
          await this.retryStart();
          ({ sights, unseen } = await lookAt(this.daemon, pool.spec));
        }
        if (holdsPool(sights)) await reconcile(this.daemon.client, pool, this.settings);
        const view = poolView(pool.spec, sights, memory.see(sights, unseen, pool.spec));
        this.noteUp(pool, view);
        return view;
      }),
    );
  }

  /** {@link Balancer.remove} */
  remove(name: string): Promise<void> {
    return this.inTurn(() =>
      this.alive(async () => {
        const pools = this.known();
        const pool = pools.find(({ spec }) => spec.name === name);
        if (pool === undefined) return;
        const next = pools.filter((other) => other !== pool);
        await this.daemon.provide(next);
        this.keep(next);
        this.memories.delete(name);
      }),
    );
  }

  /** {@link Balancer.check}. Of one that Spillway runs: its program; of the user's own: sockets, level, version and stanzas. */
  check(signal: AbortSignal): Promise<PartCheck> {
    const { attach, program } = this.options;
    if (attach === undefined) return checkProgram(program, signal);
    const { settings } = this;
    // In turn: a server that is tried in a backend would be found there, and mended away.
    return this.inTurn(() => {
      signal.throwIfAborted();
      return diagnoseHaproxy({ ...attach, settings, pools: this.known().map(({ spec }) => spec), signal });
    });
  }

  /** {@link Balancer.stop}. A HAProxy of the user's own runs on. */
  stop(): Promise<void> {
    return this.inTurn(() => this.daemon.stop());
  }

  /** A pool that HAProxy could not take up (its port was taken, its stanza is not there) is tried again, not too often. */
  private async retryStart(): Promise<void> {
    if (performance.now() - this.retriedAt < RETRY_MS) return;
    this.retriedAt = performance.now();
    await this.daemon.start(this.known());
  }

  private noteUp(pool: SavedPool, view: BalancerPoolView): void {
    const up = view.members.filter((member) => member.up).map(({ id }) => serverName(id));
    if (up.join() === pool.up.join()) return;
    this.keep(this.known().map((other) => (other.spec.name === pool.spec.name ? { ...other, up } : other)));
  }

  private keep(pools: SavedPool[]): void {
    this.pools = pools;
    this.file.write(pools);
    this.daemon.note(pools);
  }

  private known(): SavedPool[] {
    return (this.pools ??= this.file.read());
  }

  private memoryOf(name: string): Memory {
    const memory = this.memories.get(name) ?? new Memory();
    this.memories.set(name, memory);
    return memory;
  }

  /** A HAProxy that does not answer is started (or found) again, and asked once more: every order here may be repeated. */
  private async alive<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof RuntimeSilence)) throw error;
      await this.daemon.start(this.known());
      return work();
    }
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.turn.then(work);
    this.turn = result.catch(() => undefined);
    return result;
  }
}
