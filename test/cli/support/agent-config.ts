import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadAgentConfig, portsOf } from "../../../cli/agent";
import { startAgent, type RunningAgent } from "../../../lib/site/agent";
import { SiteClient } from "../../../lib/site/client";
import { clearSite } from "../../../providers/local";
import { freePort, type TestSite } from "../../support/site";

const TOKEN = "token-of-the-configured-agent-0123456789";

/** Agents of one test, each with a configuration file, as `spillway agent --config` runs them, but in this process. */
export class ConfiguredAgents {
  readonly folder = mkdtempSync(join(tmpdir(), "spillway-agent-config-"));
  readonly tokenFile = this.write("token", `${TOKEN}\n`);
  readonly stateDir = join(this.folder, "state");
  private readonly open: { readonly agent: RunningAgent; readonly client: SiteClient }[] = [];

  write(name: string, content: string | object): string {
    const path = join(this.folder, name);
    writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content), { mode: 0o600 });
    return path;
  }

  /** A file with all that is needed, and `changes`. */
  async config(changes: object): Promise<string> {
    const listen = `127.0.0.1:${await freePort("127.0.0.1")}`;
    return this.write("agent.json", {
      site: "onprem",
      state: "state",
      tokenFile: "token",
      listen,
      ...changes,
    });
  }

  async start(changes: object) {
    const file = await this.config(changes);
    const config = loadAgentConfig(file);
    const log: string[] = [];
    const agent = await startAgent({
      ...config,
      ports: portsOf(config),
      waitForParts: true,
      log: (line) => log.push(line),
    });
    const { endpoint } = agent;
    const client = new SiteClient("onprem", { endpoint, tokenFile: this.tokenFile }, { retryBudgetMs: 0 });
    this.open.push({ agent, client });
    const common = { site: "onprem", address: "127.0.0.1", token: TOKEN, tokenFile: this.tokenFile };
    const { stateDir } = this;
    const site: TestSite = {
      ...common,
      endpoint,
      stateDir,
      client,
      log: () => log.join("\n"),
      close: agent.close,
    };
    return { agent, client, config, file, log, site };
  }

  async close(): Promise<void> {
    for (const { agent, client } of this.open.splice(0)) {
      client.close();
      await agent.close();
    }
  }

  async end(): Promise<void> {
    await this.close();
    await clearSite(this.stateDir);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Asks until it is so; gives what was seen last. */
export async function seen<T>(
  ask: () => Promise<T>,
  is: (value: T) => boolean,
  deadlineMs = 8_000,
): Promise<T> {
  for (const deadline = Date.now() + deadlineMs; ;) {
    const value = await ask();
    if (is(value) || Date.now() > deadline) return value;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
