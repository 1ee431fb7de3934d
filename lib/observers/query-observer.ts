import { SpillwayError, type ProblemReport } from "../errors";

/** One number that an observer saw, and what it belongs to. */
export interface Sample {
  /** What tells it from the others of the same answer; none for a plain number. */
  readonly labels: Readonly<Record<string, string>>;
  /** May be NaN or infinite: whoever uses it decides what that means. */
  readonly value: number;
  /** When it held, milliseconds since 1970 by the observer's clock. */
  readonly at: number;
}

export interface AskQueryOptions {
  readonly signal?: AbortSignal;
  /** Milliseconds for the whole answer. @default - the observer's own */
  readonly timeoutMs?: number;
}

/** Someone who can be asked for numbers in a query language of its own. `lib` knows only this; `providers/*` implement it. */
export interface QueryObserver {
  /** Who is asked, for a person: `Prometheus at http://127.0.0.1:9090`. */
  readonly place: string;
  /**
   * What the query gives now. No sample at all is an answer too, and never a zero.
   * @throws QueryError
   * @throws AbortedError
   */
  ask(query: string, options?: AskQueryOptions): Promise<readonly Sample[]>;
}

/**
 * Why a query gave nothing to go by. `query`: it is wrong as it is written, and will be next time. `data`: it may be right, but what it
 * is asked of gives no usable number now. `refused`: whoever asks may not. `silence`: no answer in time.
 */
export type QueryErrorKind = "query" | "data" | "refused" | "silence";

/** A query that gave nothing to go by. What it asks for is then unknown, never zero. */
export class QueryError extends SpillwayError {
  constructor(
    readonly kind: QueryErrorKind,
    report: ProblemReport,
    options?: { cause?: unknown },
  ) {
    super(report, options);
  }
}
