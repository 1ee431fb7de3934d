import { parseArgs } from "node:util";
import { messageOf } from "../../lib/errors";
import { startAgent } from "../../lib/site/agent";
import { localPorts } from "./local-ports";

/**
 * The smallest agent process: what tests start and kill.
 * `agent-main.js --site NAME --state DIR --listen HOST:PORT --token-file FILE [--name-server HOST:PORT]`
 */
async function main(): Promise<void> {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    options: { site: text, state: text, listen: text, "token-file": text, "name-server": text },
  });
  const { site, state, listen, "token-file": tokenFile, "name-server": nameServer } = values;
  if (!site || !state || !listen || !tokenFile) {
    throw new Error("--site, --state, --listen and --token-file are needed");
  }
  const agent = await startAgent({
    site,
    stateDir: state,
    listen: address(listen),
    tokenFile,
    ports: localPorts({ stateDir: state, nameServer: nameServer ? address(nameServer) : undefined }),
    log: (line) => process.stdout.write(`${new Date().toISOString()} ${line}\n`),
  });
  process.stdout.write(`ready at ${agent.endpoint}\n`);
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => void agent.close().then(() => process.exit(0)));
  }
}

function address(text: string): { host: string; port: number } {
  const at = text.lastIndexOf(":");
  return { host: text.slice(0, at).replace(/^\[|\]$/g, ""), port: Number(text.slice(at + 1)) };
}

main().catch((error: unknown) => {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exit(1);
});
