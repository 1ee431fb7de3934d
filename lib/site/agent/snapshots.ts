import { AbortedError, messageOf, SpillwayError, type ProblemReport } from "../../errors";
import type { ImageStore } from "../../image";
import { SnapshotError } from "../../image/snapshot";
import type { SnapshotRequest, SnapshotStatus } from "../api";
import type { SnapshotMaker } from "../ports";
import type { EventLog } from "./event-log";
import { AgentError } from "./problems";

export interface SnapshotsOptions {
  /** Undefined at a site whose images do not become snapshots. */
  readonly maker: SnapshotMaker | undefined;
  readonly store: Pick<ImageStore, "status" | "path">;
  readonly events: EventLog;
  /** Where what must survive a restart is kept. */
  readonly directory: string;
  readonly log: (line: string) => void;
}

/** A snapshot that is being made, or was the last time that one was asked for. */
interface Job {
  status: SnapshotStatus;
  readonly stop: AbortController;
  ended: Promise<void>;
}

/**
 * The snapshots that an agent makes of its images, one at a time for each image. What is under way is not remembered: an agent that was
 * restarted is asked again, and goes on where it was.
 */
export class Snapshots {
  private readonly jobs = new Map<string, Job>();

  constructor(private readonly options: SnapshotsOptions) {}

  /** Begins, unless it is under way. @throws AgentError `image-missing`, `image-incomplete`, `invalid` */
  async make(digest: string, request: SnapshotRequest): Promise<SnapshotStatus> {
    const maker = this.maker();
    const { store } = this.options;
    const image = await store.status(digest);
    if (!image?.complete) throw notComplete(digest, image !== undefined);
    const region = await told(() => maker.region());
    const present = this.jobs.get(digest);
    if (present?.status.state === "making") return present.status;
    const status: SnapshotStatus = { digest, region, state: "making", message: "beginning" };
    const job: Job = { status, stop: new AbortController(), ended: Promise.resolve() };
    this.jobs.set(digest, job);
    job.ended = this.run(job, maker, request);
    return status;
  }

  /** @throws AgentError `not-found` when there is none; `part-unavailable` while the cloud cannot be asked */
  async status(digest: string, signal: AbortSignal): Promise<SnapshotStatus> {
    const maker = this.maker();
    const job = this.jobs.get(digest);
    if (job?.status.state === "making") return job.status;
    const found = await told(() => maker.find(digest, signal));
    if (found) {
      const region = await told(() => maker.region());
      return { digest, region, state: "complete", message: "complete", ...found };
    }
    if (job?.status.state === "failed") return job.status;
    throw new AgentError("not-found", {
      place: `image ${digest}`,
      problem: "there is no snapshot of this image",
      mend: 'Ask for one (`spillway_image_replica` with `target = "ebs"`).',
    });
  }

  async remove(digest: string, snapshotId: string, signal: AbortSignal): Promise<void> {
    const maker = this.maker();
    await told(() => maker.remove(snapshotId, digest, this.options.directory, signal));
    this.options.events.add("snapshot-deleted", digest, snapshotId);
    if (this.jobs.get(digest)?.status.state !== "making") this.jobs.delete(digest);
  }

  /** What is under way is given up; whoever asks the next agent goes on with it. */
  async stop(): Promise<void> {
    const jobs = [...this.jobs.values()];
    for (const { stop } of jobs) stop.abort();
    await Promise.all(jobs.map(({ ended }) => ended));
  }

  private async run(job: Job, maker: SnapshotMaker, request: SnapshotRequest): Promise<void> {
    const { store, directory, events, log } = this.options;
    const { digest, region } = job.status;
    const progress = ({
      message,
      fraction,
      etaMs,
    }: {
      message: string;
      fraction?: number;
      etaMs?: number;
    }) => {
      job.status = { digest, region, state: "making", message, ...withoutNothing({ fraction, etaMs }) };
    };
    try {
      const context = { signal: job.stop.signal, progress };
      const made = await maker.make({ path: store.path(digest), digest }, request, directory, context);
      job.status = { digest, region, state: "complete", message: "complete", ...made };
      events.add("snapshot-complete", digest, `${made.snapshotId} in ${region}`);
    } catch (error) {
      const problem = reportOf(error, digest);
      job.status = { digest, region, state: "failed", message: problem.problem, problem };
      if (!(error instanceof AbortedError)) log(`snapshot of ${digest}: ${messageOf(error)}`);
    }
  }

  private maker(): SnapshotMaker {
    if (this.options.maker) return this.options.maker;
    throw new AgentError("invalid", {
      place: "snapshots",
      problem: "this site's agent makes no snapshots",
      mend: "Add `ebs: { region: … }` to the agent's configuration, and give its environment AWS credentials.",
    });
  }
}

function notComplete(digest: string, isBegun: boolean): AgentError {
  return new AgentError(isBegun ? "image-incomplete" : "image-missing", {
    place: `image ${digest}`,
    problem: isBegun ? "the image is not complete here" : "the image is not here",
    mend: "Transfer it first (`spillway_image_replica`), then ask again.",
  });
}

/** What a cloud said, by the codes of the API. */
async function told<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof SnapshotError)) throw error;
    const code = error.isSilence ? "part-unavailable" : error.code === "in-use" ? "image-in-use" : "invalid";
    throw new AgentError(code, error.report);
  }
}

function reportOf(error: unknown, digest: string): ProblemReport {
  if (error instanceof SpillwayError) {
    const { place, problem, mend } = error.report;
    return { place, problem, mend };
  }
  return {
    place: `snapshot of ${digest}`,
    problem: messageOf(error),
    mend: "Try again: what has arrived is kept.",
  };
}

function withoutNothing<T extends object>(value: T): Partial<T> {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as Partial<T>;
}
