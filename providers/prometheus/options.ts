import { readFileSync } from "node:fs";
import { messageOf, SpillwayError, throwProblems, type ProblemReport } from "../../lib/errors";
import { isLoopback, readSecret, type SecretSource } from "../dns";

/** How a Prometheus (or whatever speaks its HTTP API: Thanos, Mimir, VictoriaMetrics) is asked. Secrets themselves are never here. */
export interface PrometheusOptions {
  /** `http://127.0.0.1:9090`, with a path where it stands behind one: `https://metrics.example/prometheus`. */
  readonly endpoint: string;
  /** A file that holds a bearer token; read for each request, so that it may be renewed. @default - none is sent */
  readonly tokenFile?: string;
  /** An environment variable that holds it. */
  readonly tokenEnv?: string;
  /** For basic authentication, with the password from a file or an environment variable. */
  readonly user?: string;
  readonly passwordFile?: string;
  readonly passwordEnv?: string;
  /** PEM file of the authority that signed its certificate. @default - the system's authorities */
  readonly caFile?: string;
  /** The token or password may go over plain http to another machine: nobody else is on that network. @default false */
  readonly allowPlainHttp?: boolean;
  /** Milliseconds for a whole answer. @default 5000 */
  readonly timeoutMs?: number;
  /**
   * A number that was measured longer ago counts as no data, milliseconds. A Prometheus that does not know `lookback_delta` (2.42)
   * goes back five minutes all the same, but never beyond the scrape that failed.
   * @default 120000, two of the common scrape intervals
   */
  readonly maxAgeMs?: number;
}

/** What is wrong with them, all at once; `place` is where they are written. Reads nothing. */
export function prometheusProblems(options: PrometheusOptions, place: string): readonly ProblemReport[] {
  const problems: ProblemReport[] = [];
  const add = (attribute: keyof PrometheusOptions, problem: string, mend: string) =>
    problems.push({ place, problem, mend, attribute: [attribute] });
  const url = parsed(options.endpoint);
  if (!url) {
    add(
      "endpoint",
      `\`endpoint\` must be an http or https URL, got ${JSON.stringify(withoutSecret(options.endpoint))}`,
      "Write it as http://127.0.0.1:9090.",
    );
  } else if (url.username !== "" || url.password !== "") {
    add(
      "endpoint",
      "`endpoint` holds a user or a password",
      "Name the user apart, and its password in a file or an environment variable.",
    );
  } else if (url.search !== "" || url.hash !== "") {
    add("endpoint", "`endpoint` has more than an address and a path", "Leave out what follows ? or #.");
  } else if (
    url.protocol === "http:" &&
    hasSecret(options) &&
    !isLoopback(url.hostname) &&
    options.allowPlainHttp !== true
  ) {
    add(
      "endpoint",
      `\`endpoint\` is plain http to ${url.hostname}, which would carry the ${options.user === undefined ? "token" : "password"} in clear`,
      "Use https, 127.0.0.1 through a tunnel, or set `allowPlainHttp` where nobody else is on that network.",
    );
  }
  if (options.tokenFile !== undefined && options.tokenEnv !== undefined)
    add("tokenEnv", "the token is named twice, in a file and in the environment", "Give one of the two.");
  if (options.passwordFile !== undefined && options.passwordEnv !== undefined)
    add(
      "passwordEnv",
      "the password is named twice, in a file and in the environment",
      "Give one of the two.",
    );
  const password = options.passwordFile ?? options.passwordEnv;
  if (options.user !== undefined && password === undefined)
    add(
      "user",
      "there is a user without a password",
      "Name a file or an environment variable that holds it.",
    );
  if (options.user === undefined && password !== undefined)
    add("user", "there is a password without a user", "Name the user.");
  if (options.user?.includes(":"))
    add("user", "the user's name holds a colon", "Basic authentication knows none.");
  if (options.user !== undefined && (options.tokenFile ?? options.tokenEnv) !== undefined)
    add("user", "there are both a token and a user", "Give one of the two.");
  return problems;
}

/** What goes into the `Authorization` header, read now. @throws SpillwayError, without the secret */
export function authorizationOf(options: PrometheusOptions): string | undefined {
  const token = source(options.tokenFile, options.tokenEnv);
  if (token) {
    const what = "Prometheus' bearer token";
    return `Bearer ${oneWord(readSecret(token, what), token, what)}`;
  }
  const password = source(options.passwordFile, options.passwordEnv);
  if (options.user === undefined || !password) return undefined;
  const pair = `${options.user}:${readSecret(password, "Prometheus' password")}`;
  return `Basic ${Buffer.from(pair).toString("base64")}`;
}

/** The authority's certificate. @throws SpillwayError */
export function authorityOf({ caFile }: PrometheusOptions): Buffer | undefined {
  if (caFile === undefined) return undefined;
  try {
    return readFileSync(caFile);
  } catch (error) {
    throw new SpillwayError(
      {
        place: caFile,
        problem: `the authority of Prometheus' certificate cannot be read: ${messageOf(error)}`,
        mend: "Name a PEM file that can be read.",
      },
      { cause: error },
    );
  }
}

/** @throws SpillwayError, SpillwayErrors */
export function mustFit(options: PrometheusOptions): void {
  throwProblems(prometheusProblems(options, "prometheus"));
}

function source(file: string | undefined, environment: string | undefined): SecretSource | undefined {
  if (file !== undefined) return { file };
  return environment === undefined ? undefined : { environment };
}

function oneWord(value: string, from: SecretSource, what: string): string {
  if (/^[\x21-\x7e]+$/.test(value)) return value;
  throw new SpillwayError({
    place: "file" in from ? from.file : `environment variable ${from.environment}`,
    problem: `${what} is not one word of printable ASCII characters`,
    mend: "Write nothing else there.",
  });
}

function hasSecret(options: PrometheusOptions): boolean {
  return [options.tokenFile, options.tokenEnv, options.user].some((part) => part !== undefined);
}

function parsed(endpoint: string): URL | undefined {
  try {
    const url = new URL(endpoint);
    return url.protocol === "http:" || url.protocol === "https:" ? url : undefined;
  } catch {
    return undefined;
  }
}

function withoutSecret(endpoint: string): string {
  return endpoint.replace(/\/\/[^/@]*@/, "//…@");
}
