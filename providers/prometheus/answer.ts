import { QueryError, type Sample } from "../../lib/observers";

/** An answer of the HTTP API, as it came. */
export interface RawAnswer {
  readonly status: number;
  readonly text: string;
  /** The server's own time when it answered, milliseconds since 1970; undefined when it did not say. */
  readonly serverAt?: number;
}

type Json = { readonly [key: string]: unknown };

/**
 * What Prometheus said to an instant query (https://prometheus.io/docs/prometheus/latest/querying/api/). Pure.
 * @throws QueryError that names place, query and mend
 */
export function samplesOf(
  place: string,
  query: string,
  answer: RawAnswer,
  maxAgeMs: number,
): readonly Sample[] {
  const asked = `the query \`${query}\``;
  const body = parsed(answer.text);
  if (body?.status === "error") throw refusal(place, query, answer.status, body);
  if (answer.status === 401 || answer.status === 403) {
    throw new QueryError("refused", {
      place,
      problem: `it does not let us ask (status ${answer.status})`,
      mend: "Name the token, or the user and the password, that it wants; without any, it wants some.",
    });
  }
  const data = body?.status === "success" ? object(body.data) : undefined;
  if (answer.status !== 200 || !body || !data) {
    const isSilence = answer.status >= 500 || answer.status === 429 || answer.status === 408;
    throw new QueryError(isSilence ? "silence" : "refused", {
      place,
      problem: `${asked} got no answer of Prometheus' API: status ${answer.status}, ${excerpt(answer.text)}`,
      mend: "Check the endpoint and its path: it is the address to which /api/v1/query is added.",
    });
  }
  // Part of the data is missing, by its own words: what is left may look like quiet.
  const [warning] = Array.isArray(body.warnings) ? body.warnings : [];
  if (warning !== undefined) {
    throw new QueryError("data", {
      place,
      problem: `${asked} was answered with a warning, so the answer may not be whole: ${String(warning)}`,
      mend: "Mend what it says; a part of the data counts as none.",
    });
  }
  const samples = samplesIn(place, asked, data);
  const now = answer.serverAt ?? Date.now();
  const old = samples.find(({ at }) => now - at > maxAgeMs);
  if (!old) return samples;
  throw new QueryError("data", {
    place,
    problem: `${asked} was answered with data from ${new Date(old.at).toISOString()}, ${Math.round((now - old.at) / 1_000)} s old`,
    mend: "Let no cache stand between, take `@` and `offset` out of it, or raise `maxAgeMs`.",
  });
}

function samplesIn(place: string, asked: string, data: Json): readonly Sample[] {
  const { resultType, result } = data;
  if (resultType === "scalar") return [sampleOf(place, asked, {}, result)];
  if (resultType === "vector" && Array.isArray(result)) {
    return result.map((each: unknown) => {
      const series = object(each) ?? {};
      if (series.value === undefined && series.histogram !== undefined) {
        throw notUsable(
          place,
          asked,
          "histograms",
          "Take a number of them, such as `histogram_quantile(0.95, …)`.",
        );
      }
      return sampleOf(place, asked, labelsOf(series.metric), series.value);
    });
  }
  const what = resultType === "matrix" ? "a range of values for each series" : `a ${String(resultType)}`;
  throw notUsable(
    place,
    asked,
    what,
    "Make a number of it: `rate(…)`, `max_over_time(…)`, or leave out `[…]`.",
  );
}

function sampleOf(place: string, asked: string, labels: Sample["labels"], pair: unknown): Sample {
  const [seconds, text] = Array.isArray(pair) ? (pair as unknown[]) : [];
  if (typeof seconds === "number" && typeof text === "string") {
    const value = numberOf(text);
    if (value !== undefined) return { labels, value, at: Math.round(seconds * 1_000) };
  }
  throw notUsable(
    place,
    asked,
    `what is no number: ${excerpt(JSON.stringify(pair) ?? "nothing")}`,
    "Check that the endpoint is a Prometheus.",
  );
}

/** Go's way of writing numbers. */
function numberOf(text: string): number | undefined {
  if (text === "NaN") return NaN;
  if (/^[+-]?Inf$/.test(text)) return text.startsWith("-") ? -Infinity : Infinity;
  const value = Number(text);
  return text.trim() === "" || Number.isNaN(value) ? undefined : value;
}

function labelsOf(metric: unknown): Sample["labels"] {
  return Object.fromEntries(
    Object.entries(object(metric) ?? {}).map(([name, value]) => [name, String(value)]),
  );
}

/** Prometheus' own error: its words, which for a mistake in PromQL have the position. */
function refusal(place: string, query: string, status: number, body: Json): QueryError {
  const type = String(body.errorType ?? "");
  const words = String(body.error ?? `status ${status}`);
  if (type === "bad_data") {
    return new QueryError("query", {
      place,
      problem: `the query \`${query}\` is no PromQL that it understands: ${words}`,
      mend: "Correct it; the position is in what Prometheus says.",
    });
  }
  if (
    type === "timeout" ||
    type === "canceled" ||
    type === "unavailable" ||
    type === "internal" ||
    status >= 500
  ) {
    return new QueryError("silence", {
      place,
      problem: `the query \`${query}\` got no answer: ${words}`,
      mend: "Make it cheaper (a recording rule), or see what ails Prometheus.",
    });
  }
  return new QueryError("data", {
    place,
    problem: `the query \`${query}\` cannot be answered with the data there is: ${words}`,
    mend: "Correct it (`by`, `on` and `group_left` say which series belong together), or see what its targets export.",
  });
}

function notUsable(place: string, asked: string, gives: string, mend: string): QueryError {
  return new QueryError("query", {
    place,
    problem: `${asked} gives ${gives}, where numbers are needed`,
    mend,
  });
}

function parsed(text: string): Json | undefined {
  try {
    return object(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function object(value: unknown): Json | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : undefined;
}

function excerpt(text: string): string {
  const line = text.trim().replace(/\s+/g, " ");
  if (line === "") return "an empty answer";
  return line.length > 120 ? `${line.slice(0, 120)}…` : line;
}
