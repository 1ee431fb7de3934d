import { resolve } from "node:path";
import { SpillwayError } from "../../lib/errors";
import { startAgent } from "../../lib/site/agent";
import { localPorts } from "../../providers/local";
import { parseEndpoint } from "../endpoint";
import { EXIT, interrupted, interruptSignal } from "../output";

export interface AgentOptions {
  readonly site: string;
  readonly state: string;
  readonly tokenFile: string;
  readonly listen: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly nameServer?: string;
  readonly retainImages?: number | "all";
  readonly json?: boolean;
}

/** Runs an agent until it is told to stop. Its members, balancer and name server run on: the next agent adopts them. */
export async function run(options: AgentOptions): Promise<number> {
  const stateDir = resolve(options.state);
  const signal = interruptSignal();
  const agent = await startAgent({
    site: options.site,
    stateDir,
    listen: parseEndpoint(options.listen, "--listen"),
    tokenFile: resolve(options.tokenFile),
    tls: tlsFiles(options),
    retainImages: options.retainImages,
    ports: localPorts({
      stateDir,
      nameServer: options.nameServer ? parseEndpoint(options.nameServer, "--name-server") : undefined,
    }),
    log: (line) =>
      options.json
        ? process.stderr.write(`${JSON.stringify({ at: Date.now(), site: options.site, message: line })}\n`)
        : process.stdout.write(`${new Date().toISOString()} ${line}\n`),
  });
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ ok: true, site: options.site, endpoint: agent.endpoint, pid: process.pid })}\n`
      : `agent ${options.site} answers at ${agent.endpoint}\n`,
  );
  await interrupted(signal);
  await agent.close();
  return EXIT.ok;
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
