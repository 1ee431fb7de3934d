import type { ImageStatus } from "../../../site/api";
import { MAX_SEGMENT_BYTES } from "../../wire/segment";
import type { ImageTarget, TransferRequest } from "../../wire/target";
import type { TargetErrorCode } from "../errors";
import type { FrameLimits } from "./frames";

/** Only sides of the same number understand each other. */
export const PROTOCOL = 2;

/** While it works on a request, the far side says so this often. */
export const BUSY_EVERY_MS = 5_000;
/** A far side that says nothing for so long is not there any more. */
export const SILENCE_MS = 60_000;

/** What the far side reads. */
export const REQUEST_LIMITS: FrameLimits = { headBytes: 64 * 1024, bodyBytes: MAX_SEGMENT_BYTES };
/** What the near side reads: the arrived blocks of a large image, a part of its index. */
export const ANSWER_LIMITS: FrameLimits = { headBytes: 256 * 1024 * 1024, bodyBytes: 1024 * 1024 };

/** The first word of the far side. */
export interface Hello {
  readonly spillway: string;
  readonly protocol: number;
  /** Absolute, at the far side. */
  readonly directory: string;
}

/** What the near side asks; a segment's bytes are the frame's body. */
export type Request =
  | { readonly ask: "open"; readonly id: string; readonly request: TransferRequest }
  | { readonly ask: "segment"; readonly id: string; readonly segmentId: string }
  | { readonly ask: "complete"; readonly id: string; readonly digest: string }
  | { readonly ask: "index"; readonly digest: string }
  | { readonly ask: "verify"; readonly digest: string };

/** An answer. An index comes before it, in parts: each is a frame's body. */
export type Answer =
  | { readonly busy: true }
  | { readonly part: true }
  | { readonly ok: true; readonly value?: unknown }
  | { readonly ok: false; readonly problem: Problem };

export interface Problem {
  readonly code: TargetErrorCode;
  readonly place: string;
  readonly problem: string;
  readonly mend: string;
}

/** A target that can read again what it holds. */
export interface VerifiableTarget extends ImageTarget {
  /**
   * Reads the whole image again and compares it with its leaves.
   * @throws with code `image-missing` when it is not held, `image-corrupt` when it is not what it was
   */
  verify(digest: string, signal?: AbortSignal): Promise<ImageStatus>;
}
