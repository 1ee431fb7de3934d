import type { ProblemReport } from "../errors";
import type {
  MonitorSpec,
  PoolSpec,
  PoolTraffic,
  QuiesceSpec,
  RecordPlan,
  RecordSpec,
  RecordStatus,
  ShiftPreparation,
  SnapshotRequest,
} from "./api";
import type { StepContext } from "../wait";

/**
 * What a site agent runs on. `lib` knows only these interfaces; `providers/*` implement them. Everything behind them is a process
 * of its own that outlives the agent: an agent that is killed takes no member, no balancer and no name server with it.
 */
export interface SitePorts {
  readonly launcher: Launcher;
  readonly balancer: Balancer;
  /** Only at a site that answers for the global name. */
  readonly nameServer?: NameServer;
  /** Only at a site whose cloud takes images as snapshots. */
  readonly snapshots?: SnapshotMaker;
}

/** A snapshot that is complete. */
export interface MadeSnapshot {
  readonly snapshotId: string;
  readonly sizeBytes: number;
}

/** Makes snapshots of images that the site holds, in the cloud that the site is in. */
export interface SnapshotMaker {
  /** Where. @throws SpillwayError when that is not known */
  region(): Promise<string>;
  /**
   * Idempotent: goes on with what was begun, and takes what is there.
   * @param image its file, and the digest that it has
   * @param directory where what must survive a restart is kept
   */
  make(
    image: { readonly path: string; readonly digest: string },
    request: SnapshotRequest,
    directory: string,
    context: StepContext,
  ): Promise<MadeSnapshot>;
  /** Undefined when there is none that is complete. @throws SpillwayError with code `part-unavailable` in its cause when it cannot be asked */
  find(digest: string, signal: AbortSignal): Promise<MadeSnapshot | undefined>;
  /** Idempotent. @throws SpillwayError with code `image-in-use` in its cause */
  remove(snapshotId: string, digest: string, directory: string, signal: AbortSignal): Promise<void>;
}

/** What a look at a part of the site found. */
export interface PartCheck {
  /** With any of these it does not do its work. */
  readonly problems: readonly ProblemReport[];
  /** It works, but not as well as it could. */
  readonly advice: readonly ProblemReport[];
}

/** A running member, as it must be remembered across a restart of the agent. JSON. */
export interface MemberHandle {
  readonly id: string;
  /** The launcher's own notes (a process id and its start time, a VM's name). JSON. */
  readonly notes: Readonly<Record<string, unknown>>;
  readonly address: string;
  readonly port: number;
}

export interface LaunchRequest {
  readonly id: string;
  readonly pool: string;
  readonly site: string;
  readonly digest: string;
  /** The complete image, in the site's image store. */
  readonly imagePath: string;
  readonly address: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** Starts and ends members from an image. */
export interface Launcher {
  /** What it is, in a word. @default "process" */
  readonly kind?: string;
  /** Idempotent in `request.id`: a member of that id that runs already is returned. */
  launch(request: LaunchRequest, signal: AbortSignal): Promise<MemberHandle>;
  /** Is it still the same running member (not another process that got its id)? */
  isRunning(handle: MemberHandle): Promise<boolean>;
  /**
   * Ends it: politely, then firmly. Idempotent. A handle without notes ends what a launch of that id left behind when the agent
   * was killed before it learned them.
   */
  end(handle: MemberHandle, graceMs: number): Promise<void>;
  /** The last words of a member that died, if they were kept. */
  lastWords(handle: MemberHandle): Promise<string>;
  /** The image is no longer at the site: what was made of it for launches may go. */
  forget(digest: string): Promise<void>;
}

export interface BalancerMember {
  readonly id: string;
  readonly address: string;
  readonly port: number;
  /** `draining`: takes no new user; its present ones stay. */
  readonly draining: boolean;
  /** Its share of the load beside the other members', 1 to 100. @default 1 */
  readonly weight?: number;
}

/** What the balancer should do for one pool: a desired state, sent whole. */
export interface BalancerPool {
  readonly name: string;
  readonly listen: PoolSpec["listen"];
  readonly monitor: MonitorSpec;
  readonly affinity: PoolSpec["affinity"];
  readonly maxConnections: number;
  readonly sessionIdleMs: number;
  readonly members: readonly BalancerMember[];
  readonly quiesce: QuiesceSpec;
  /**
   * A request with this value in its `x-spillway-probe` header is a gate's probe: counted as nobody. Without a key no request is.
   * The header never reaches a member.
   */
  readonly probeKey?: string;
  /** {@link PoolSpec.hosts} */
  readonly hosts?: readonly string[];
}

export interface BalancerMemberView {
  readonly id: string;
  readonly up: boolean;
  readonly inFlight: number;
  readonly sessions: number;
  readonly lastProblem?: string;
}

export interface BalancerPoolView {
  readonly traffic: PoolTraffic;
  readonly members: readonly BalancerMemberView[];
}

/** The local balancer of a site. */
export interface Balancer {
  /** What it is, in a word. @default "embedded" */
  readonly kind?: string;
  /** Starts it, or adopts the one that runs already with its pools and users. */
  start(): Promise<void>;
  /** Makes the pool so, new or changed. @throws SpillwayError with code `port-taken` in its cause when it cannot listen */
  put(pool: BalancerPool): Promise<void>;
  /** Undefined when it holds no such pool. */
  view(pool: string): Promise<BalancerPoolView | undefined>;
  remove(pool: string): Promise<void>;
  /** Looks whether it can do its work, and changes nothing that serves. @default - there is nothing that could be wrong */
  check?(signal: AbortSignal): Promise<PartCheck>;
  /** Ends the balancer itself (the lab's clean-up; an agent's stop does not). */
  stop(): Promise<void>;
}

/** The authoritative server of the global name. */
export interface NameServer {
  /** What it is, in a word. @default "embedded" */
  readonly kind?: string;
  /**
   * Its records are kept beyond the agent's own state, and others may write there: one of this agent's that the agent does not know
   * is taken up, put for its owner only, and removed only when that is asked for. Otherwise it holds what the agent knows, and nothing besides.
   * @default false
   */
  readonly keepsRecords?: boolean;
  /** Starts it, or adopts the one that runs already. */
  start(): Promise<void>;
  /** `address:port` it answers on, UDP and TCP. */
  readonly endpoint: string;
  /**
   * @param signal ends the waits within it (a warm-up, a TTL, secondaries): nobody waits for the answer any more. What was written
   * already stays. @default - each wait has its own end only
   * @throws AbortedError when it was ended so
   */
  put(name: string, spec: RecordSpec, signal?: AbortSignal): Promise<RecordStatus>;
  get(name: string): Promise<RecordStatus | undefined>;
  list(): Promise<readonly RecordStatus[]>;
  /**
   * May this agent change the record, which `list` has and the agent does not know? One of another agent of the same name is answered
   * and read, and left alone. @default - all that it lists
   */
  takesUp?(name: string): Promise<boolean>;
  /** @param signal as of {@link NameServer.put} */
  remove(name: string, signal?: AbortSignal): Promise<void>;
  /** Looks whether it can do its work, and changes nothing. @default - there is nothing that could be wrong */
  check?(signal: AbortSignal): Promise<PartCheck>;
  /**
   * What a put of this would be refused for now, and what users would get that was not declared. Changes nothing.
   * @throws SpillwayError without a code when the server does not answer
   */
  planRecord?(name: string, spec: RecordSpec): Promise<Pick<RecordPlan, "problems" | "notes">>;
  /**
   * Lowers the TTL of a record ahead of a shift, for a while; asked again, it is kept low. The declared TTL, as `get` shows it, stays.
   * @returns undefined when there was nothing to lower
   */
  prepareShift?(name: string): Promise<Required<ShiftPreparation> | undefined>;
  stop(): Promise<void>;
}
