import { SpillwayError } from "../../../lib/errors";
import { SiteClient, type TransportOptions } from "../../../lib/site/client";
import { prometheusProblems } from "../../prometheus";
import { a, defineProvider, isUnknown, isWhollyKnown, type Path, type Provider } from "../plugin";
import { isNotEmpty, isSiteName } from "./checks";
import { makeClient } from "./client";
import { context } from "./context";
import { gate } from "./gate";
import { globalRecord } from "./global-record";
import { imageReplica } from "./image-replica";
import { pool } from "./pool";
import { prometheusAttributes, prometheusOptions, type PrometheusConfig } from "./prometheus";
import { split } from "./split";
import { VERSION } from "./version";

export interface ProviderOptions {
  /**
   * What relative paths (`source`, `token_file`, `ca_file`) are relative to. A provider that is kept for many commands does not run
   * in their directory.
   * @default - the directory that Terraform runs in
   */
  readonly directory?: string;
  /**
   * How patient it is with agents that do not answer.
   * @default - 10 s for an answer, 15 s for an agent that is being restarted
   */
  readonly patience?: TransportOptions;
}

const config = {
  sites: a
    .nestedMap({
      endpoint: a
        .string()
        .check(isNotEmpty)
        .describe(
          "Where the site's agent answers: `http://127.0.0.1:7501`, `https://agent.cloud.example:7501`. Plain http only on loopback.",
        ),
      token_file: a
        .string()
        .optional()
        .check(isNotEmpty)
        .describe(
          "A file that holds the agent's token. The token itself is in no configuration, plan or state.",
        ),
      token_env: a
        .string()
        .optional()
        .check(isNotEmpty)
        .describe(
          "An environment variable that holds the token. Default: `SPILLWAY_TOKEN_<SITE>`, then `SPILLWAY_TOKEN`.",
        ),
      ca_file: a
        .string()
        .optional()
        .check(isNotEmpty)
        .describe(
          "PEM file of the authority that signed the agent's certificate. Default: the system's authorities.",
        ),
    })
    .optional()
    .describe("The sites by name, each with an agent."),
  prometheus: a
    .nested(prometheusAttributes)
    .optional()
    .describe("The Prometheus that is asked for the queries of gates and of `spillway_context`."),
};

/** The provider `spillway`: the five steps of a burst as Terraform resources. */
export function createProvider(options: ProviderOptions = {}): Provider {
  return defineProvider({
    name: "spillway",
    version: VERSION,
    description:
      "Cloud bursting as code: moves an image to a site, launches a pool from it, admits the pool, directs users to it, and brings it all home again.",
    config,
    validate: ({ config: { sites, prometheus }, error }) => {
      if (prometheus !== null && isWhollyKnown(prometheus)) {
        const options = prometheusOptions(prometheus as PrometheusConfig, "");
        for (const { problem, mend } of prometheusProblems(options, "prometheus")) {
          error(["prometheus"], problem.charAt(0).toUpperCase() + problem.slice(1), mend);
        }
      }
      if (sites === null || isUnknown(sites)) return;
      for (const [name, site] of Object.entries(sites)) {
        const at = (...rest: string[]) => ["sites", name, ...rest] as unknown as ["sites", string];
        const badName = isSiteName(name);
        if (typeof badName === "object") error(at(), `"${name}" ${badName.problem}`, badName.mend);
        if (isUnknown(site)) continue;
        if (typeof site.token_file === "string" && typeof site.token_env === "string") {
          error(
            at("token_env"),
            `Site "${name}" has both \`token_file\` and \`token_env\``,
            "Give one of the two.",
          );
        }
        if (!isWhollyKnown(site.endpoint)) continue;
        const problem = endpointProblem(name, site.endpoint);
        if (problem) error(problem.path as ["sites", string], problem.summary, problem.detail);
      }
    },
    configure: ({ sites, prometheus }) =>
      makeClient(sites, options.directory ?? process.cwd(), options.patience, prometheus),
    resources: {
      spillway_image_replica: imageReplica,
      spillway_pool: pool,
      spillway_gate: gate,
      spillway_global_record: globalRecord,
    },
    dataSources: { spillway_context: context },
    functions: { split },
  });
}

function endpointProblem(
  name: string,
  endpoint: string,
): { readonly path: Path; readonly summary: string; readonly detail: string } | undefined {
  try {
    new SiteClient(name, { endpoint }).close();
    return undefined;
  } catch (error) {
    if (!(error instanceof SpillwayError)) throw error;
    const { problem, mend } = error.report;
    const summary = problem.charAt(0).toUpperCase() + problem.slice(1);
    return { path: ["sites", name, "endpoint"], summary, detail: `At sites.${name}.endpoint. ${mend}` };
  }
}

/** The provider as Terraform starts it. */
export const provider: Provider = createProvider();
