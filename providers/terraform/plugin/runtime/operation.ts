import { AbortedError, messageOf } from "../../../../lib/errors";
import { formatDuration } from "../../../../lib/duration";
import { PartialApply, type HandlerContext } from "../define";
import { reportsOf, type DiagnosticReport } from "../diagnostic";
import type { Json } from "../schema";
import { HandlerValueError } from "../values/from-handler";

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error";
/** Where the log lines of handlers go. */
export type Logger = (level: LogLevel, message: string, fields?: Readonly<Record<string, Json>>) => void;

/** Why a signal fired: the operation's own time was over. */
class TimeoutReached extends Error {
  override readonly name = "TimeoutReached";
  constructor(
    readonly operation: string,
    readonly ms: number,
  ) {
    super(`${operation} took longer than ${formatDuration(ms)}`);
  }
}

/** setTimeout counts no further than that: 24.8 days. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** One call of Terraform: its signal, its timeout, and what it has to tell the user. */
export class Operation {
  private readonly controller = new AbortController();
  private timer: NodeJS.Timeout | undefined;
  readonly reports: DiagnosticReport[] = [];

  constructor(
    /** For the log: `create shop_server`. */
    readonly name: string,
    private readonly logger: Logger,
  ) {}

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  get failed(): boolean {
    return this.reports.some((report) => report.severity !== "warning");
  }

  /** Aborts the signal when the time is over. */
  limit(operation: string, ms: number): void {
    if (ms > LONGEST_TIMER_MS) return;
    this.timer = setTimeout(() => this.controller.abort(new TimeoutReached(operation, ms)), ms);
  }

  /** Terraform wants it to stop. */
  stop(why: string): void {
    this.controller.abort(new AbortedError(why));
  }

  end(): void {
    clearTimeout(this.timer);
  }

  context(): HandlerContext {
    return {
      signal: this.controller.signal,
      warn: (summary, options) => void this.reports.push({ severity: "warning", summary, ...options }),
      log: this.logger,
    };
  }

  error(path: string | readonly (string | number)[] | undefined, summary: string, detail?: string): void {
    this.reports.push({ summary, detail, path: typeof path === "string" ? [path] : path });
  }

  /** Runs a part of it; what it throws becomes diagnostics, and the answer undefined. */
  async attempt<T>(run: () => T | Promise<T>): Promise<T | undefined> {
    try {
      return await run();
    } catch (thrown) {
      this.fail(thrown);
      return undefined;
    }
  }

  /** Reports what was thrown. */
  fail(thrown: unknown): void {
    if (thrown instanceof PartialApply) return this.fail(thrown.cause);
    if (!(thrown instanceof Error) || isDefect(thrown)) {
      this.logger("error", `${this.name}: ${messageOf(thrown)}`, { stack: stackOf(thrown) });
    }
    if (thrown instanceof HandlerValueError) {
      this.reports.push({
        summary: "The provider gave a value that its own schema does not allow",
        detail: `${this.name}: ${thrown.message}. This is a defect of the provider: please report it.`,
      });
      return;
    }
    const reports = reportsOf(thrown);
    const { reason } = this.signal as { reason: unknown };
    if (this.signal.aborted && isAbort(thrown, reason))
      this.reports.push(...abortReports(reason, thrown, reports));
    else this.reports.push(...reports);
  }
}

function abortReports(
  reason: unknown,
  thrown: unknown,
  reports: readonly DiagnosticReport[],
): DiagnosticReport[] {
  if (reason instanceof TimeoutReached) {
    const seen = thrown === reason ? "" : `${messageOf(thrown)}. `;
    return [
      {
        summary: `Not done within ${formatDuration(reason.ms)}`,
        detail: `${seen}Raise \`timeouts.${reason.operation}\` if it needs longer.`,
        path: ["timeouts", reason.operation],
      },
    ];
  }
  return reports.map((report) => ({ ...report, summary: `Stopped: ${report.summary}` }));
}

function isAbort(thrown: unknown, reason: unknown): boolean {
  return (
    thrown === reason ||
    (thrown instanceof Error && (thrown.name === "AbortedError" || thrown.name === "AbortError"))
  );
}

function isDefect(error: Error): boolean {
  return error instanceof TypeError || error instanceof ReferenceError || error instanceof HandlerValueError;
}

function stackOf(thrown: unknown): string {
  return thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
}
