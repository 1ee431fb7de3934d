import { AbortedError, messageOf } from "../../lib/errors";
import { QueryError, type AskQueryOptions, type QueryObserver, type Sample } from "../../lib/observers";
import { samplesOf, type RawAnswer } from "./answer";
import { exchange } from "./exchange";
import { authorityOf, authorizationOf, mustFit, type PrometheusOptions } from "./options";

const TIMEOUT_MS = 5_000;
const MAX_AGE_MS = 120_000;

/** Asks a Prometheus instant queries. Holds no connection, so there is nothing to close. */
export class PrometheusObserver implements QueryObserver {
  readonly place: string;
  private readonly url: URL;

  /** Asks nobody. @throws SpillwayError, SpillwayErrors for options that make no sense */
  constructor(private readonly options: PrometheusOptions) {
    mustFit(options);
    const base = options.endpoint.replace(/\/+$/, "");
    this.url = new URL(`${base}/api/v1/query`);
    this.place = `Prometheus at ${base}`;
  }

  async ask(query: string, options: AskQueryOptions = {}): Promise<readonly Sample[]> {
    if (query.trim() === "") {
      throw new QueryError("query", {
        place: this.place,
        problem: "the query is empty",
        mend: "Give it some PromQL, such as `sum(up)`.",
      });
    }
    const maxAgeMs = this.options.maxAgeMs ?? MAX_AGE_MS;
    const timeoutMs = options.timeoutMs ?? this.options.timeoutMs ?? TIMEOUT_MS;
    const answer = await this.exchanged(
      {
        query,
        timeout: `${timeoutMs}ms`,
        // Without it, Prometheus takes for present what was measured up to five minutes ago.
        lookback_delta: `${maxAgeMs}ms`,
      },
      timeoutMs,
      options.signal,
    );
    return samplesOf(this.place, query, answer, maxAgeMs);
  }

  private async exchanged(
    form: Readonly<Record<string, string>>,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<RawAnswer> {
    const authorization = authorizationOf(this.options);
    const authority = authorityOf(this.options);
    try {
      return await exchange({
        url: this.url,
        form,
        headers: authorization === undefined ? {} : { authorization },
        timeoutMs,
        ...(signal ? { signal } : {}),
        ...(authority ? { authority } : {}),
      });
    } catch (error) {
      if (error instanceof AbortedError) throw error;
      const { code } = error as NodeJS.ErrnoException;
      const words = messageOf(error) || code;
      throw new QueryError(
        "silence",
        {
          place: this.place,
          problem: `it does not answer the query \`${form.query}\`: ${words}`,
          mend: /CERT|SELF_SIGNED|UNABLE_TO/.test(code ?? "")
            ? "Name the authority that signed its certificate as the CA file."
            : "Check that it runs, and that it can be reached from here.",
        },
        { cause: error },
      );
    }
  }
}
