import { join } from "node:path";
import type { BalancerPool } from "../../lib/site/ports";
import type { QuiesceOrder } from "../local/balancer/quiesce";
import { readStateFile, writeStateFile } from "../local/state-file";

/** A pool as it was asked for last. JSON. */
export interface SavedPool {
  readonly spec: BalancerPool;
  readonly order: QuiesceOrder;
  /** Members that were up or draining when they were seen last: a HAProxy that starts takes them for up. */
  readonly up: readonly string[];
}

interface SavedPools {
  readonly version: 1;
  readonly pools: readonly SavedPool[];
}

/** The pools of a HAProxy, written down before each answer. */
export class PoolFile {
  private readonly path: string;

  constructor(stateDir: string) {
    this.path = join(stateDir, "haproxy.state.json");
  }

  /** @throws SpillwayError when the file is not JSON */
  read(): SavedPool[] {
    return [...(readStateFile<SavedPools>(this.path)?.pools ?? [])];
  }

  write(pools: readonly SavedPool[]): void {
    writeStateFile(this.path, { version: 1, pools } satisfies SavedPools);
  }
}
