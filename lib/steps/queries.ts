import { SpillwayError } from "../errors";
import { QueryError, whyNotHolding, type NamedQueries, type QueryObserver, type Sample } from "../observers";

/** Looks are repeated by the wait around them, so one does not wait long for an answer. */
const ONE_ANSWER_MS = 3_000;

/**
 * Whom to ask for a gate's queries; undefined when it has none.
 * @throws SpillwayError when there are queries and nobody to ask
 */
export function observerFor(
  observer: QueryObserver | undefined,
  queries: NamedQueries | undefined,
  place: string,
  attribute: string,
): QueryObserver | undefined {
  if (Object.keys(queries ?? {}).length === 0) return undefined;
  if (observer) return observer;
  throw new SpillwayError({
    place,
    problem: `\`${attribute}\` has queries, and no Prometheus is configured to ask them`,
    mend: "Add `prometheus = { endpoint = … }` to the provider `spillway`.",
    attribute: [attribute],
  });
}

/**
 * One answer, or why there is none now.
 * @throws QueryError for a query that is wrong as it is written
 * @throws AbortedError
 */
export async function askPatiently(
  observer: QueryObserver,
  query: string,
  signal: AbortSignal,
): Promise<{ readonly samples: readonly Sample[] } | { readonly problem: string }> {
  try {
    return { samples: await observer.ask(query, { signal, timeoutMs: ONE_ANSWER_MS }) };
  } catch (error) {
    if (!(error instanceof QueryError) || error.kind === "query") throw error;
    return { problem: error.report.problem };
  }
}

/**
 * The first condition of a gate's `open_when` that does not hold, for a person. What cannot be known does not hold.
 * @throws QueryError for one that is wrong as it is written
 */
export async function whyClosed(
  observer: QueryObserver | undefined,
  conditions: NamedQueries,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (!observer) return undefined;
  const looks = Object.entries(conditions).map(async ([name, query]) => {
    const seen = await askPatiently(observer, query, signal);
    const why = "problem" in seen ? seen.problem : whyNotHolding(seen.samples);
    return why === undefined ? undefined : `\`open_when\` "${name}" does not hold: ${why}`;
  });
  return (await Promise.all(looks)).find((why) => why !== undefined);
}
