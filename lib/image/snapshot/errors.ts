import { SpillwayError, type ProblemReport } from "../../errors";

/** Why a service of snapshots said no. */
export type SnapshotErrorCode =
  /** Too many requests: go on slower. */
  | "throttled"
  /** It failed, or did not answer in time. */
  | "slow"
  /** It cannot be reached. */
  | "unreachable"
  /** There is no such snapshot; maybe not yet. */
  | "not-found"
  /** It is no longer pending, or was asked for otherwise before. */
  | "conflict"
  /** What arrived is not what was sent. */
  | "corrupt"
  | "in-use"
  | "unauthorized"
  | "quota"
  | "invalid";

/** A service of snapshots said no, or said nothing. */
export class SnapshotError extends SpillwayError {
  override readonly name = "SnapshotError";

  constructor(
    readonly code: SnapshotErrorCode,
    report: ProblemReport,
    /** What it asked to wait, where it did. */
    readonly retryAfterMs?: number,
  ) {
    super(report);
  }

  /** Did it say nothing? Then nothing is known of what it holds. */
  get isSilence(): boolean {
    return this.code === "slow" || this.code === "unreachable" || this.code === "throttled";
  }
}
