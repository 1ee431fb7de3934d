import { type ProblemReport, SpillwayError, messageOf } from "../../errors";
import { ImageStoreError } from "../../image";
import type { ApiProblem } from "../api";

/** The HTTP status of each code. */
const STATUS = {
  unauthorized: 401,
  "not-found": 404,
  invalid: 400,
  "owned-by-another": 409,
  "image-missing": 409,
  "image-incomplete": 409,
  "image-corrupt": 422,
  "image-in-use": 409,
  "port-taken": 409,
  "no-name-server": 409,
  "part-unavailable": 503,
  "disk-full": 507,
  "too-large": 413,
  internal: 500,
} as const satisfies Record<ApiProblem["code"], number>;

/** An error that the agent answers with: a problem and its code. */
export class AgentError extends SpillwayError {
  override readonly name = "AgentError";
  readonly status: number;

  constructor(
    readonly code: ApiProblem["code"],
    report: ProblemReport,
    options?: { readonly status?: number; readonly cause?: unknown },
  ) {
    super(report, { cause: options?.cause });
    this.status = options?.status ?? STATUS[code];
  }
}

/** What an agent answers to anything thrown. What it does not know is `internal`, without details that are for its log. */
export function problemOf(
  error: unknown,
  place: string,
): { readonly status: number; readonly body: ApiProblem } {
  if (error instanceof AgentError || error instanceof ImageStoreError) {
    return { status: error.status, body: { code: error.code, ...error.report } };
  }
  if (error instanceof SpillwayError) {
    const code = codeIn(error.cause);
    return code
      ? { status: STATUS[code], body: { code, ...error.report } }
      : { status: 500, body: { code: "internal", ...error.report } };
  }
  return {
    status: 500,
    body: {
      code: "internal",
      place,
      problem: `the agent failed: ${messageOf(error)}`,
      mend: "The agent's log says more; the request may be repeated.",
    },
  };
}

/** A refusal with a reason, not trouble on the way to whoever was asked. */
export function isRefusal(error: unknown): boolean {
  const code = error instanceof SpillwayError ? codeIn(error.cause) : undefined;
  return code !== undefined && code !== "internal" && code !== "part-unavailable";
}

function codeIn(cause: unknown): ApiProblem["code"] | undefined {
  if (typeof cause !== "object" || cause === null || !("code" in cause)) return undefined;
  const { code } = cause;
  return typeof code === "string" && Object.hasOwn(STATUS, code) ? (code as ApiProblem["code"]) : undefined;
}
