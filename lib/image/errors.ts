import { SpillwayError, messageOf, type ProblemReport } from "../errors";
import type { ApiProblem } from "../site/api";

/** What an {@link ImageStoreError} may say, and the HTTP status that an agent answers it with. */
export const STORE_ERROR_STATUS = {
  "not-found": 404,
  "image-missing": 404,
  "image-incomplete": 409,
  "image-in-use": 409,
  "image-corrupt": 422,
  invalid: 400,
  "too-large": 413,
  "disk-full": 507,
} as const satisfies Partial<Record<ApiProblem["code"], number>>;

export type ImageStoreErrorCode = keyof typeof STORE_ERROR_STATUS;

/** The image store said no. `code` is the one of the site's API. */
export class ImageStoreError extends SpillwayError {
  override readonly name = "ImageStoreError";

  constructor(
    readonly code: ImageStoreErrorCode,
    report: ProblemReport,
    options?: { cause?: unknown },
  ) {
    super(report, options);
  }

  /** The HTTP status for it. */
  get status(): number {
    return STORE_ERROR_STATUS[this.code];
  }
}

/** Bytes that are no valid index, segment or journal: what is wrong, and where in them. */
export class FormatError extends Error {
  override readonly name = "FormatError";

  constructor(
    readonly what: string,
    problem: string,
  ) {
    super(`${what}: ${problem}`);
  }
}

const FULL = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);

/** Is it the file system that had no more room? EFBIG is a process's own limit on file sizes. */
export function isDiskFull(error: unknown): boolean {
  return FULL.has(String((error as NodeJS.ErrnoException | undefined)?.code));
}

/** Is it a file that is not there? */
export function isMissingFile(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | undefined)?.code === "ENOENT";
}

/** The error for a far disk that is full; the partial image is kept. */
export function diskFull(place: string, detail: string, cause?: unknown): ImageStoreError {
  return new ImageStoreError(
    "disk-full",
    {
      place,
      problem: `the disk of the image store is full: ${detail}`,
      mend: "Free space there (delete images that no pool uses) and try again; what has arrived is kept.",
    },
    { cause },
  );
}

/** Turns a failed write into `disk-full` where it is that. */
export function writeFailed(place: string, error: unknown): unknown {
  return isDiskFull(error) ? diskFull(place, messageOf(error), error) : error;
}

/** The error for bytes at the store that are not what they should be; they count as missing from now on. */
export function storeCorrupt(place: string, problem: string, cause?: unknown): ImageStoreError {
  return new ImageStoreError(
    "image-corrupt",
    { place, problem, mend: "Push the image again: the bad parts alone will be sent." },
    { cause },
  );
}
