import { resolve } from "node:path";
import type { NamedQueries } from "../../../lib/observers";
import type { PrometheusOptions } from "../../prometheus";
import { a } from "../plugin";
import { isNotEmpty } from "./checks";

const text = (what: string) => a.string().optional().check(isNotEmpty).describe(what);

/** The provider's block `prometheus`. The secrets themselves are in no configuration, plan or state. */
export const prometheusAttributes = {
  endpoint: a
    .string()
    .check(isNotEmpty)
    .describe("Where it answers: `http://127.0.0.1:9090`. Secrets go over plain http to loopback only."),
  token_file: text("A file that holds a bearer token."),
  token_env: text("An environment variable that holds it."),
  user: text("For basic authentication."),
  password_file: text("A file that holds the user's password."),
  password_env: text("An environment variable that holds it."),
  ca_file: text("PEM file of the authority that signed its certificate. Default: the system's authorities."),
};

export type PrometheusConfig = { readonly endpoint: string } & {
  readonly [N in Exclude<keyof typeof prometheusAttributes, "endpoint">]: string | null;
};

/** @param directory what relative paths are relative to */
export function prometheusOptions(config: PrometheusConfig, directory: string): PrometheusOptions {
  const path = (file: string | null) => (file === null ? undefined : resolve(directory, file));
  const given = {
    tokenFile: path(config.token_file),
    tokenEnv: config.token_env ?? undefined,
    user: config.user ?? undefined,
    passwordFile: path(config.password_file),
    passwordEnv: config.password_env ?? undefined,
    caFile: path(config.ca_file),
  };
  const entries = Object.entries(given).filter(([, value]) => value !== undefined);
  return { endpoint: config.endpoint, ...Object.fromEntries(entries) };
}

/** A map of named queries. */
export function queriesAttribute(what: string) {
  return a.map(a.string().check(isNotEmpty)).optional().describe(what);
}

/** Queries as a step takes them. */
export function queriesOf(queries: NamedQueries | null | undefined): NamedQueries {
  return queries ?? {};
}
