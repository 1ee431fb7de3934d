import { messageOf } from "../../../lib/errors";
import type { BalancerPool, BalancerPoolView } from "../../../lib/site/ports";
import { problemCode } from "../control";
import { readStateFile, writeStateFile } from "../state-file";
import type { Front } from "./front";
import { HttpFront } from "./http-front";
import { Pool } from "./pool";
import { NO_QUIESCE, nextOrder, type QuiesceOrder } from "./quiesce";
import { TcpFront } from "./tcp-front";

// The sockets of a process that was killed outlive it by some milliseconds.
const REOPEN_FIRST_MS = 20;
const REOPEN_MS = 500;

interface Entry {
  readonly pool: Pool;
  /** Undefined while a restored pool's port is taken by another. */
  front: Front | undefined;
  reopen?: NodeJS.Timeout;
}

interface SavedPools {
  readonly version: 1;
  readonly pools: readonly { readonly spec: BalancerPool; readonly order: QuiesceOrder }[];
}

/** All pools of the balancer, as last asked for; written down before each answer. */
export class Pools {
  private readonly entries = new Map<string, Entry>();
  private turn: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly stateFile: string,
    private readonly log: (line: string) => void,
  ) {}

  /** Opens the pools that the state file holds. A port that is taken is tried again until it is free or the pool is removed. */
  async restore(): Promise<void> {
    const saved = readStateFile<SavedPools>(this.stateFile);
    for (const { spec, order } of saved?.pools ?? []) {
      const entry: Entry = { pool: new Pool(spec, order, true), front: undefined };
      this.entries.set(spec.name, entry);
      await this.reopen(entry);
    }
  }

  /** Makes a pool so. Changes nothing when it cannot listen. */
  put(spec: BalancerPool): Promise<void> {
    return this.inTurn(async () => {
      const present = this.entries.get(spec.name);
      if (present === undefined) await this.create(spec);
      else await this.change(present, spec);
      this.save();
    });
  }

  view(name: string): BalancerPoolView | undefined {
    return this.entries.get(name)?.pool.view();
  }

  /** Refuses new clients at once; resolves when the running answers are out, or their time is up. */
  async remove(name: string): Promise<void> {
    const front = await this.inTurn(() => {
      const entry = this.entries.get(name);
      if (entry === undefined) return Promise.resolve(undefined);
      this.entries.delete(name);
      this.save();
      clearTimeout(entry.reopen);
      // Its port is free for another pool from here on; the rest is waiting for answers.
      const retired = entry.front?.retire(false);
      entry.pool.end();
      return Promise.resolve({ retired });
    });
    await front?.retired;
  }

  private async create(spec: BalancerPool): Promise<void> {
    const pool = new Pool(spec, nextOrder(NO_QUIESCE, spec.quiesce, Date.now()), false);
    const front = frontFor(pool, spec.listen);
    try {
      await front.open();
    } catch (error) {
      pool.end();
      throw error;
    }
    this.entries.set(spec.name, { pool, front });
  }

  private async change(entry: Entry, spec: BalancerPool): Promise<void> {
    const old = entry.front;
    if (old === undefined || !isSameListen(old.listen, spec.listen)) {
      await this.moveFront(entry, spec.listen);
      clearTimeout(entry.reopen);
    }
    entry.pool.change(spec);
  }

  /** Listens anew before the old listener closes, so that there is always one; only on the same port it is the other way round. */
  private async moveFront(entry: Entry, listen: BalancerPool["listen"]): Promise<void> {
    const old = entry.front;
    const front = frontFor(entry.pool, listen);
    try {
      await front.open();
    } catch (error) {
      if (old === undefined || old.listen.port !== listen.port || problemCode(error) !== "port-taken")
        throw error;
      void old.retire(true);
      entry.front = undefined;
      try {
        await front.open();
      } catch (stillTaken) {
        await this.reopen(entry);
        throw stillTaken;
      }
      entry.front = front;
      return;
    }
    entry.front = front;
    void old?.retire(true);
  }

  private async reopen(entry: Entry): Promise<void> {
    const front = frontFor(entry.pool, entry.pool.spec.listen);
    try {
      await front.open();
      entry.front = front;
    } catch (error) {
      if (entry.reopen === undefined) this.log(`pool ${entry.pool.spec.name}: ${messageOf(error)}`);
      const pauseMs = entry.reopen === undefined ? REOPEN_FIRST_MS : REOPEN_MS;
      entry.reopen = setTimeout(() => void this.inTurn(() => this.reopenLater(entry)), pauseMs);
    }
  }

  private async reopenLater(entry: Entry): Promise<void> {
    const present = this.entries.get(entry.pool.spec.name) === entry;
    if (present && entry.front === undefined) await this.reopen(entry);
  }

  private save(): void {
    const pools = [...this.entries.values()].map(({ pool }) => ({ spec: pool.spec, order: pool.order }));
    writeStateFile(this.stateFile, { version: 1, pools } satisfies SavedPools);
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.turn.then(work);
    this.turn = result.catch(() => undefined);
    return result;
  }
}

function frontFor(pool: Pool, listen: BalancerPool["listen"]): Front {
  return listen.mode === "http" ? new HttpFront(pool, listen) : new TcpFront(pool, listen);
}

function isSameListen(one: BalancerPool["listen"], other: BalancerPool["listen"]): boolean {
  return one.address === other.address && one.port === other.port && one.mode === other.mode;
}
