import { formatBytes } from "../../duration";
import type { ProblemReport } from "../../errors";
import type { TransferEstimate } from "../../site/api";
import { hexOf } from "../digest";
import type { ImageStoreOptions } from "./contract";
import { ImageStoreError } from "../errors";
import { MAX_IMAGE_BYTES } from "../limits";

/** What more the report of a refused segment says. */
export interface SegmentProblemReport extends ProblemReport {
  /** The copies in it gave wrong bytes: send these blocks again without any. */
  readonly withoutCopies?: true;
  /** The first block that is wrong, or that is not there. */
  readonly block?: number;
  /** The image that was copied from. */
  readonly base?: string;
}

/** A segment was refused. Its report goes to the near side as it is. */
export class SegmentRefusedError extends ImageStoreError {
  declare readonly report: SegmentProblemReport;

  constructor(
    code: "image-corrupt" | "image-missing" | "image-incomplete" | "invalid",
    report: SegmentProblemReport,
    options?: { cause?: unknown },
  ) {
    super(code, report, options);
  }

  get withoutCopies(): boolean {
    return this.report.withoutCopies === true;
  }
}

export function placeOf(digest: string): string {
  return `image ${digest}`;
}

export function placeOfTransfer(id: string): string {
  return `transfer ${id}`;
}

/** @throws ImageStoreError `invalid` */
export function requireDigest(digest: string): void {
  if (hexOf(digest) !== undefined) return;
  throw new ImageStoreError("invalid", {
    place: "image store",
    problem: `"${String(digest).slice(0, 100)}" is not an image digest`,
    mend: "Write it as sha256: and 64 lower-case hex digits.",
  });
}

/** @throws ImageStoreError `invalid` */
export function requireTransferId(id: string): void {
  if (/^[0-9a-f]{64}$/.test(id)) return;
  throw new ImageStoreError("invalid", {
    place: "image store",
    problem: `"${id.slice(0, 100)}" is not the id of a transfer`,
    mend: "Write it as 64 lower-case hex digits.",
  });
}

/** @throws ImageStoreError `invalid` */
export function requireSize(id: string, sizeBytes: number): void {
  if (Number.isInteger(sizeBytes) && sizeBytes >= 1 && sizeBytes <= MAX_IMAGE_BYTES) return;
  throw new ImageStoreError("invalid", {
    place: placeOfTransfer(id),
    problem: `an image of ${JSON.stringify(sizeBytes) ?? String(sizeBytes)} bytes cannot be taken`,
    mend: `Send an image of 1 byte to ${formatBytes(MAX_IMAGE_BYTES)}.`,
  });
}

/** @throws ImageStoreError `invalid` */
export function requireEstimate(digest: string, estimate: TransferEstimate): void {
  const { totalBytes, inUseBytes, presentBytes, sendBytes, etaMs, rateBps, rateIs } = estimate;
  const areNumbers = [totalBytes, inUseBytes, presentBytes, sendBytes, etaMs, rateBps].every(
    (number) => typeof number === "number" && Number.isFinite(number) && number >= 0,
  );
  if (areNumbers && (rateIs === "measured" || rateIs === "assumed")) return;
  throw new ImageStoreError("invalid", {
    place: placeOf(digest),
    problem: `${JSON.stringify(estimate).slice(0, 300)} is not an estimate`,
    mend: "Give bytes, milliseconds and a rate as numbers.",
  });
}

export function segmentCorrupt(place: string, problem: string, cause?: unknown): SegmentRefusedError {
  const mend = "Send it again; nothing of it was kept.";
  const report = { place, problem: `the segment was refused: ${problem}`, mend };
  return new SegmentRefusedError("image-corrupt", report, { cause });
}

export function segmentTooLarge(place: string, bytes: number, limit: number): ImageStoreError {
  return new ImageStoreError("too-large", {
    place,
    problem: `the segment has ${formatBytes(bytes)}, more than ${formatBytes(limit)}`,
    mend: "Send smaller segments.",
  });
}

export function unknownTransfer(id: string): ImageStoreError {
  return new ImageStoreError("not-found", {
    place: placeOfTransfer(id),
    problem: `there is no transfer ${id} here`,
    mend: "Open it first.",
  });
}

export function notHeld(
  { site, directory }: Pick<ImageStoreOptions, "site" | "directory">,
  digest: string,
  isArriving: boolean,
): ImageStoreError {
  const holder = site === undefined ? `the directory ${directory}` : `site "${site}"`;
  return new ImageStoreError(isArriving ? "image-incomplete" : "image-missing", {
    place: placeOf(digest),
    problem: isArriving
      ? `${holder} holds the image ${digest} only in part`
      : `${holder} does not hold the image ${digest}`,
    mend:
      site === undefined
        ? "Push it there first (`spillway image push`)."
        : "Push it to this site first (`spillway_image_replica`).",
  });
}

export function inUse(digest: string, users: readonly string[]): ImageStoreError {
  return new ImageStoreError("image-in-use", {
    place: placeOf(digest),
    problem: `the image is used by ${users.map((name) => `pool "${name}"`).join(", ")}`,
    mend: "Take those pools down first, or keep the image (`retain`).",
  });
}

export function stillMissing(place: string, bytes: number, firstOffset: number): ImageStoreError {
  return new ImageStoreError("image-incomplete", {
    place,
    problem: `${formatBytes(bytes)} of the image are still missing, first at offset ${firstOffset}`,
    mend: "Push the image again: only what is missing will be sent.",
  });
}
