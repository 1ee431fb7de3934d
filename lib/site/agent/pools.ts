import { randomBytes } from "node:crypto";
import { formatBytes } from "../../duration";
import type { ImageStore } from "../../image";
import type { GateSpec, PoolContext, PoolSpec, PoolStatus, PoolTraffic, QuiesceSpec } from "../api";
import { Mutex } from "./mutex";
import { PoolLoop, type PoolLoopContext } from "./pool-loop";
import { QUIESCE_OVER } from "./pool-plan";
import { phaseOf } from "./pool-status";
import { AgentError } from "./problems";
import { type AgentState, NO_QUIESCE, type PoolRecord } from "./state";

/** Names of pools that have, or want, members of an image. */
export function poolsUsing({ pools }: AgentState, digest: string): string[] {
  return Object.values(pools)
    .filter(({ spec, members }) => spec.image === digest || members.some(({ image }) => image === digest))
    .map(({ name }) => name);
}

/** The pools of a site, as its API sees them. Every change is written down before it is answered or acted upon. */
export class Pools {
  private readonly loops = new Map<string, PoolLoop>();
  /** An image is not deleted between the look at it and the pool that names it. */
  readonly images = new Mutex();

  constructor(
    private readonly state: AgentState,
    private readonly store: ImageStore,
    private readonly context: Omit<PoolLoopContext, "forget" | "imagePath">,
  ) {}

  /** Takes up all pools that are remembered. */
  async start(): Promise<void> {
    await Promise.all(Object.values(this.state.pools).map((record) => this.loopOf(record).start()));
  }

  async stop(): Promise<void> {
    await Promise.all([...this.loops.values()].map((loop) => loop.stop()));
  }

  /** Names of pools that have, or want, members of an image. */
  usedBy(digest: string): string[] {
    return poolsUsing(this.state, digest);
  }

  put(name: string, spec: PoolSpec): Promise<PoolStatus> {
    return this.images.run(async () => {
      this.context.balancer.mustBeThere();
      const before = this.state.pools[name];
      if (before) this.mustOwn(before, spec.owner);
      await this.mustHaveImage(name, spec.image);
      // From here on it is used; until now it may have been evicted.
      this.store.path(spec.image);
      const record = this.state.pools[name];
      this.mustBeFree(name, spec);
      if (!record) return this.create(name, spec);
      const change = changeOf(record, spec);
      const failed = phaseOf(record, true) === "failed";
      if (failed || needsNewMembers(record.spec, spec)) record.generation++;
      if (failed) record.failed = undefined;
      record.spec = spec;
      record.leaving = false;
      await this.context.save();
      if (change) this.context.events.add("pool-changed", name, change);
      return this.acted(name);
    });
  }

  names(): readonly string[] {
    return [...this.loops.keys()].sort();
  }

  get(name: string): PoolStatus {
    return this.mustBeHere(name).status();
  }

  async remove(name: string, owner: string): Promise<PoolStatus> {
    const { record } = this.mustBeHere(name);
    this.mustOwn(record, owner);
    if (!record.leaving) {
      record.leaving = true;
      await this.context.save();
      this.context.events.add("pool-changed", name, "is taken down");
    }
    return this.acted(name);
  }

  /** A failed pool's members are launched anew; any other pool stays as it is. */
  async retry(name: string): Promise<PoolStatus> {
    const { record } = this.mustBeHere(name);
    if (phaseOf(record, true) === "failed") {
      record.failed = undefined;
      record.generation++;
      await this.context.save();
      this.context.events.add("pool-changed", name, "its members are launched anew");
    }
    return this.acted(name);
  }

  async fail(name: string, reason: string): Promise<PoolStatus> {
    const { record } = this.mustBeHere(name);
    record.failed = { problem: reason, cause: "told" };
    await this.context.save();
    return this.acted(name);
  }

  async admit(name: string, gate: GateSpec): Promise<PoolStatus> {
    const { record } = this.mustBeHere(name);
    const isNew = record.gate?.generation !== gate.generation;
    record.gate = gate;
    await this.context.save();
    if (isNew) this.context.events.add("gate-opened", name, `generation ${gate.generation}`);
    return this.acted(name);
  }

  async quiesce(name: string, spec: QuiesceSpec): Promise<PoolTraffic> {
    const loop = this.mustBeHere(name);
    const { record } = loop;
    const before = quiesceWords(record.quiesce.share);
    record.quiesce = spec.share === 0 ? { ...NO_QUIESCE, idleCloseMs: spec.idleCloseMs } : spec;
    const { forMs, afterMs = 0 } = spec;
    const begins = Date.now() + afterMs;
    record.quiesceFrom = spec.share > 0 && afterMs > 0 ? begins : undefined;
    record.quiesceUntil = spec.share > 0 && forMs > 0 ? begins + forMs : undefined;
    await this.context.save();
    const words = quiesceWords(spec.share);
    if (words !== before) {
      const when = record.quiesceFrom === undefined ? "" : ` in ${Math.ceil(afterMs / 1_000)} s`;
      const forHowLong =
        record.quiesceUntil === undefined || spec.once ? "" : ` for ${Math.ceil(forMs / 1_000)} s`;
      this.context.events.add("quiesce-changed", name, `${words}${when}${forHowLong}`);
    }
    await loop.settled();
    return this.traffic(name);
  }

  /** @throws AgentError `part-unavailable` while the balancer cannot be asked: silence is not zero users */
  async traffic(name: string): Promise<PoolTraffic> {
    const { record } = this.mustBeHere(name);
    try {
      this.context.balancer.mustBeThere();
      const seen = await this.context.ports.balancer.view(name);
      return seen ? seen.traffic : untold(record);
    } catch (error) {
      throw error instanceof AgentError ? error : this.context.balancer.unavailable(error);
    }
  }

  async contexts(): Promise<PoolContext[]> {
    const names = Object.keys(this.state.pools).sort();
    const all = await Promise.all(
      names.map(async (name) => {
        const traffic = await this.traffic(name);
        const phase = this.loops.get(name)?.status().phase;
        return phase ? [{ name, phase, traffic }] : [];
      }),
    );
    return all.flat();
  }

  private async create(name: string, spec: PoolSpec): Promise<PoolStatus> {
    const record: PoolRecord = {
      name,
      createdAt: Date.now(),
      spec,
      generation: 1,
      leaving: false,
      quiesce: NO_QUIESCE,
      members: [],
    };
    this.state.pools[name] = record;
    const loop = this.loopOf(record);
    await this.context.save();
    const { address, port } = spec.listen;
    this.context.events.add("pool-created", name, `${spec.members} members at ${address}:${port}`);
    await loop.start();
    return this.get(name);
  }

  private loopOf(record: PoolRecord): PoolLoop {
    // A record of an earlier version has none.
    record.probeKey ??= randomBytes(16).toString("hex");
    const loop = new PoolLoop(record, {
      ...this.context,
      imagePath: (digest) => this.store.path(digest),
      forget: async () => {
        if (this.state.pools[record.name] === record) delete this.state.pools[record.name];
        await this.context.save();
        if (this.loops.get(record.name) === loop) this.loops.delete(record.name);
      },
    });
    this.loops.set(record.name, loop);
    return loop;
  }

  private acted(name: string): PoolStatus {
    const loop = this.mustBeHere(name);
    loop.kick();
    return loop.status();
  }

  private mustBeHere(name: string): PoolLoop {
    const loop = this.loops.get(name);
    if (loop) return loop;
    throw new AgentError("not-found", {
      place: `pool ${name}`,
      problem: `site "${this.context.site}" has no pool "${name}"`,
      mend: "Declare it first, or correct the name.",
    });
  }

  private mustOwn(record: PoolRecord, owner: string): void {
    if (record.spec.owner === owner) return;
    throw new AgentError("owned-by-another", {
      place: `pool ${record.name}`,
      problem: `the pool "${record.name}" belongs to "${record.spec.owner}", not to "${owner}"`,
      mend: "Choose another name, or have its owner remove it.",
      attribute: ["owner"],
    });
  }

  /** Two pools of this site cannot listen at one place. Other processes there are found by the balancer. */
  private mustBeFree(name: string, { listen }: PoolSpec): void {
    const everywhere = (address: string) => address === "0.0.0.0" || address === "::";
    const other = Object.values(this.state.pools).find(
      ({ name: theirs, spec: { listen: there } }) =>
        theirs !== name &&
        there.port === listen.port &&
        (there.address === listen.address || everywhere(there.address) || everywhere(listen.address)),
    );
    if (!other) return;
    throw new AgentError("port-taken", {
      place: `pool ${name}`,
      problem: `the pool "${other.name}" listens at ${other.spec.listen.address}:${listen.port} already`,
      mend: "Give each pool a port (or an address) of its own in `listen`.",
      attribute: ["listen", "port"],
    });
  }

  private async mustHaveImage(name: string, digest: string): Promise<void> {
    const status = await this.store.status(digest);
    if (status?.complete) return;
    const { site } = this.context;
    throw new AgentError(status ? "image-incomplete" : "image-missing", {
      place: `pool ${name}`,
      problem: status
        ? `of image ${digest} only ${formatBytes(status.presentBytes)} of ${formatBytes(status.sizeBytes)} are at site "${site}"`
        : `site "${site}" does not hold image ${digest}`,
      mend: "Let its transfer complete first (`spillway_image_replica`), or correct the digest.",
      attribute: ["image"],
    });
  }
}

/** What a quiesce does, for a person. */
function quiesceWords(share: number): string {
  if (share === 0) return QUIESCE_OVER;
  if (share >= 1) return "moving all kept-alive users away";
  return `moving ${Number((share * 100).toFixed(share < 0.01 ? 1 : 0))} % of kept-alive users`;
}

function needsNewMembers(before: PoolSpec, after: PoolSpec): boolean {
  const of = ({ image, environment }: PoolSpec) =>
    JSON.stringify([image, Object.entries(environment).sort()]);
  return of(before) !== of(after);
}

/** What is different, for a person. Empty when nothing is. */
function changeOf(record: PoolRecord, spec: PoolSpec): string {
  const names = (Object.keys(spec) as (keyof PoolSpec)[]).filter(
    (name) => name !== "claim" && JSON.stringify(record.spec[name]) !== JSON.stringify(spec[name]),
  );
  const told = names.map((name) =>
    name === "members" ? `members ${record.spec.members} to ${spec.members}` : name,
  );
  if (record.leaving) told.push("is wanted again");
  if (phaseOf(record, true) === "failed") told.push("is tried again");
  return told.join(", ");
}

/** A pool that the balancer does not hold: nobody can be there, but nothing was observed for long either. */
function untold(record: PoolRecord): PoolTraffic {
  return {
    openConnections: 0,
    inFlight: 0,
    queued: 0,
    sessions: 0,
    quietMs: record.members.some(({ everUp }) => everUp) ? 0 : Number.MAX_SAFE_INTEGER,
    requestsTotal: 0,
    failedTotal: 0,
    requestsPerSecond: 0,
    latencyMs: { p50: 0, p95: 0 },
    membersUp: 0,
    members: 0,
  };
}
