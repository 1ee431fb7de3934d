import { resolve } from "node:path";
import { startAgent } from "../../lib/site/agent";
import { localPorts } from "../../providers/local";
import { parseEndpoint } from "../endpoint";
import { EXIT, interruptSignal } from "../output";

export interface AgentOptions {
  readonly site: string;
  readonly state: string;
  readonly tokenFile: string;
  readonly listen: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly address: string;
  readonly nameServer?: string;
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
    tls:
      options.tlsCert && options.tlsKey
        ? { certFile: resolve(options.tlsCert), keyFile: resolve(options.tlsKey) }
        : undefined,
    ports: localPorts({
      stateDir,
      nameServer: options.nameServer ? parseEndpoint(options.nameServer, "--name-server") : undefined,
    }),
    log: (line) =>
      process.stdout.write(
        options.json
          ? `${JSON.stringify({ at: Date.now(), site: options.site, message: line })}\n`
          : `${new Date().toISOString()} ${line}\n`,
      ),
  });
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ ok: true, site: options.site, endpoint: agent.endpoint, pid: process.pid })}\n`
      : `agent ${options.site} answers at ${agent.endpoint}\n`,
  );
  await new Promise<void>((stopped) => signal.addEventListener("abort", () => stopped(), { once: true }));
  await agent.close();
  return EXIT.ok;
}
