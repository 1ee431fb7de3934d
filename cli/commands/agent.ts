import { resolve } from "node:path";
import { SpillwayError } from "../../lib/errors";
import { startAgent } from "../../lib/site/agent";
import { DEFAULT_LISTEN, loadAgentConfig, portsOf, type AgentConfig, type AgentFlags } from "../agent";
import { parseEndpoint } from "../endpoint";
import { EXIT, interrupted, interruptSignal, UsageError } from "../output";

export interface AgentOptions {
  readonly config?: string;
  readonly site?: string;
  readonly state?: string;
  readonly tokenFile?: string;
  readonly listen?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly nameServer?: string;
  readonly retainImages?: number | "all";
  readonly json?: boolean;
}

/** Runs an agent until it is told to stop. Its members, balancer and name server run on: the next agent adopts them. */
export async function run(options: AgentOptions): Promise<number> {
  const config = configOf(options);
  const signal = interruptSignal();
  const agent = await startAgent({
    ...config,
    ports: portsOf(config),
    // Parts that others run come and go: what is configured is waited for.
    waitForParts: options.config !== undefined,
    log: (line) =>
      options.json
        ? process.stderr.write(`${JSON.stringify({ at: Date.now(), site: config.site, message: line })}\n`)
        : process.stdout.write(`${new Date().toISOString()} ${line}\n`),
  });
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ ok: true, site: config.site, endpoint: agent.endpoint, pid: process.pid })}\n`
      : `agent ${config.site} answers at ${agent.endpoint}\n`,
  );
  await interrupted(signal);
  await agent.close();
  return EXIT.ok;
}

/** What the file says, and over it the options; the options alone where there is no file. */
function configOf(options: AgentOptions): AgentConfig {
  const flags = flagsOf(options);
  if (options.config !== undefined) return loadAgentConfig(options.config, flags);
  const needed = [
    ["--site <name>", flags.site],
    ["--state <dir>", flags.stateDir],
    ["--token-file <file>", flags.tokenFile],
  ] as const;
  const { site, stateDir, tokenFile } = flags;
  if (site === undefined || stateDir === undefined || tokenFile === undefined) {
    const lacking = needed.filter(([, value]) => value === undefined).map(([name]) => `'${name}'`);
    throw new UsageError(
      new SpillwayError({
        place: "command line",
        problem: `required ${lacking.length > 1 ? "options" : "option"} ${lacking.join(", ")} not specified`,
        mend: "Give what is missing, or `--config` with a file that says it (run with --help to see what it takes).",
      }),
    );
  }
  return {
    ...{ site, stateDir, tokenFile, listen: flags.listen ?? DEFAULT_LISTEN },
    ...{ tls: flags.tls, retainImages: flags.retainImages, balancer: { kind: "embedded" } },
    nameServer: flags.nameServer && { kind: "embedded", listen: flags.nameServer },
  };
}

function flagsOf(options: AgentOptions): AgentFlags {
  const path = (value: string | undefined) => (value === undefined ? undefined : resolve(value));
  const endpoint = (value: string | undefined, name: string) =>
    value === undefined ? undefined : parseEndpoint(value, name);
  return {
    site: options.site,
    stateDir: path(options.state),
    tokenFile: path(options.tokenFile),
    listen: endpoint(options.listen, "--listen"),
    tls: tlsFiles(options),
    nameServer: endpoint(options.nameServer, "--name-server"),
    retainImages: options.retainImages,
  };
}

/** One without the other would leave the agent answering in the clear. */
function tlsFiles({ tlsCert, tlsKey }: AgentOptions): { certFile: string; keyFile: string } | undefined {
  if (tlsCert && tlsKey) return { certFile: resolve(tlsCert), keyFile: resolve(tlsKey) };
  if (!tlsCert && !tlsKey) return undefined;
  const [given, lacking] = tlsCert ? ["--tls-cert", "--tls-key"] : ["--tls-key", "--tls-cert"];
  throw new SpillwayError({
    place: given,
    problem: `\`${given}\` is given without \`${lacking}\``,
    mend: `Give both, each the path of a PEM file.`,
  });
}
