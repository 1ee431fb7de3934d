import { QueryError, type AskQueryOptions, type QueryObserver, type Sample } from "./query-observer";

/** Queries by the names that their users gave them. */
export type NamedQueries = Readonly<Record<string, string>>;

/**
 * The one number of an answer.
 * @throws QueryError of kind `data` for none, for several, and for one that is no number
 */
export function oneNumber(place: string, query: string, samples: readonly Sample[]): number {
  const [sample, ...others] = samples;
  const wrong = (problem: string, mend: string) =>
    new QueryError("data", { place, problem: `the query \`${query}\` ${problem}`, mend });
  if (!sample) {
    throw wrong(
      "gives no data, which is not 0",
      "Check its labels, and that its targets are scraped; where absence means 0, say so: `… or vector(0)`.",
    );
  }
  if (others.length > 0) {
    throw wrong(
      `gives ${samples.length} series where one number is needed: ${seriesText(samples)}`,
      "Aggregate them, such as `sum(…)` or `max(…)`, or select one by its labels.",
    );
  }
  if (!Number.isFinite(sample.value)) {
    throw wrong(
      `gives ${numberText(sample.value)}, which is no number to go by`,
      "It divides by zero, or takes a quantile of nothing; keep it from that.",
    );
  }
  return sample.value;
}

/** Asks for one number. @throws QueryError, AbortedError */
export async function askNumber(
  observer: QueryObserver,
  query: string,
  options?: AskQueryOptions,
): Promise<number> {
  return oneNumber(observer.place, query, await observer.ask(query, options));
}

/** Why a condition does not hold: it holds when there is a sample, and none that is 0 or no number. */
export function whyNotHolding(samples: readonly Sample[]): string | undefined {
  if (samples.length === 0) return "no data";
  const bad = samples.find(({ value }) => !Number.isFinite(value) || value === 0);
  if (!bad) return undefined;
  const of = samples.length > 1 ? ` for ${seriesText([bad])}` : "";
  return `${numberText(bad.value)}${of}`;
}

/** How many users an answer tells of; undefined when it does not tell: no data, or no number. Negative numbers tell nothing. */
export function usersIn(samples: readonly Sample[]): number | undefined {
  if (samples.length === 0) return undefined;
  if (samples.some(({ value }) => !Number.isFinite(value) || value < 0)) return undefined;
  return samples.reduce((sum, { value }) => sum + value, 0);
}

/** Is it the number, `NaN` or `+Inf`, as Prometheus writes it? */
export function numberText(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (Number.isFinite(value)) return String(value);
  return value > 0 ? "+Inf" : "-Inf";
}

/** The first few of them by their labels. */
export function seriesText(samples: readonly Sample[]): string {
  const shown = samples.slice(0, 3).map(({ labels }) => {
    const pairs = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
    return `{${pairs.join(", ")}}`;
  });
  return `${shown.join(", ")}${samples.length > shown.length ? ", …" : ""}`;
}
