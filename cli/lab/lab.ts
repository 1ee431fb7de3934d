import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { SpillwayError } from "../../lib/errors";
import type { BurstPolicy } from "../../lib/hook";
import { clearSite } from "../../providers/local";
import { startLink, type Link } from "../../providers/local/link";
import { isSameProcess, thisProcess } from "../../providers/local/process";
import { LAB_ADDRESSES } from "./addresses";
import { startAgentProcess, type AgentProcess } from "./agent-process";
import { readLabInfo, removeLabInfo, writeLabInfo, type LabInfo, type LabSite } from "./info";
import { assertFree, freePortAt } from "./ports";

export interface LabOptions {
  /** The lab's directory; made when missing. */
  readonly dir: string;
  /** Rate of the link into the cloud site, Mbit/s. @default 100 */
  readonly linkMbps?: number;
  /** One-way delay of that link, milliseconds. @default 10 */
  readonly linkDelayMs?: number;
  /** At which both sites serve the application. @default - one that is free at both */
  readonly port?: number;
  /** An image to tell stacks of. @default - none */
  readonly imagePath?: string;
  /** What the lab's hurry asks of the hook, for stacks to take up. @default - nothing */
  readonly policy?: Partial<BurstPolicy>;
  /** Told about agents that died and were started again. @default - nobody */
  readonly onNotice?: (line: string) => void;
}

/** Two sites, the link between them and a name server, on this machine. */
export interface Lab {
  readonly dir: string;
  readonly info: LabInfo;
  /** Everything that reaches the cloud's agent goes over it. */
  readonly link: Link;
  readonly agents: Readonly<Record<"onprem" | "cloud", AgentProcess>>;
  /** Ends all of it: agents, members, balancers, the name server. Its directory stays. */
  close(): Promise<void>;
}

const SITES = ["onprem", "cloud"] as const;

/**
 * Starts a lab. What an earlier lab left running in that directory is ended first.
 * @throws SpillwayError when a lab runs there, a port is taken, or an agent does not come up
 */
export async function startLab(options: LabOptions): Promise<Lab> {
  const dir = resolve(options.dir);
  await clearGround(options);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const port = options.port ?? (await freePortAt(SITES.map((site) => LAB_ADDRESSES[site])));
  const agentPorts = {
    onprem: await freePortAt(["127.0.0.1"]),
    cloud: await freePortAt(["127.0.0.1"]),
  };
  const nameServer = `127.0.0.1:${await freePortAt(["127.0.0.1"])}`;
  const link = await startLink({
    listen: { host: "127.0.0.1", port: 0 },
    target: { host: "127.0.0.1", port: agentPorts.cloud },
    rateBitsPerSecond: (options.linkMbps ?? 100) * 1e6,
    delayMs: options.linkDelayMs ?? 10,
  });
  const sites = {
    onprem: siteIn(dir, "onprem", agentPorts.onprem),
    cloud: siteIn(dir, "cloud", link.port),
  };
  const info: LabInfo = {
    version: 1,
    lab: await thisProcess(),
    sites,
    nameServer: { endpoint: nameServer },
    port,
    ...(options.imagePath ? { image: { path: resolve(options.imagePath) } } : {}),
    ...(options.policy ? { policy: options.policy } : {}),
  };
  if (!writeLabInfo(dir, info)) {
    await link.close();
    throw labRunsThere(dir, readLabInfo(dir)?.lab.pid);
  }

  const started: AgentProcess[] = [];
  const stop = async () => {
    await Promise.all(started.map((agent) => agent.stop()));
    await clear(info);
    await link.close();
    removeLabInfo(dir);
  };
  try {
    for (const site of SITES) layOut(sites[site]);
    const starting = await Promise.allSettled(
      SITES.map(async (site) => {
        const agent = await startAgentProcess({
          site,
          stateDir: sites[site].stateDir,
          tokenFile: sites[site].tokenFile,
          listen: `127.0.0.1:${agentPorts[site]}`,
          nameServer: site === "onprem" ? nameServer : undefined,
          logFile: join(dir, `${site}.log`),
          onRestart: (line) => options.onNotice?.(line),
        });
        started.push(agent);
        return agent;
      }),
    );
    const [onprem, cloud] = starting.map((outcome) => {
      if (outcome.status === "rejected") throw outcome.reason;
      return outcome.value;
    });
    return { dir, info, link, agents: { onprem, cloud }, close: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * Makes a directory ready for a lab: ends what an earlier one left running there, and looks whether the port is free.
 * @throws SpillwayError when a lab runs there, or the port is taken
 */
export async function clearGround({ dir, port }: Pick<LabOptions, "dir" | "port">): Promise<void> {
  await endLab(dir);
  if (port !== undefined) {
    await assertFree(
      SITES.map((site) => LAB_ADDRESSES[site]),
      port,
    );
  }
}

/**
 * Ends what a lab that is gone left running in `dir`.
 * @returns whether there was anything
 * @throws SpillwayError when that lab is not gone
 */
export async function endLab(dir: string): Promise<boolean> {
  const info = readLabInfo(resolve(dir));
  if (!info) return false;
  if (await isSameProcess(info.lab)) throw labRunsThere(resolve(dir), info.lab.pid);
  await clear(info);
  removeLabInfo(resolve(dir));
  return true;
}

async function clear({ sites }: LabInfo): Promise<void> {
  await Promise.all(SITES.map((site) => clearSite(sites[site].stateDir)));
}

function siteIn(dir: string, site: (typeof SITES)[number], agentPort: number): LabSite {
  return {
    endpoint: `http://127.0.0.1:${agentPort}`,
    address: LAB_ADDRESSES[site],
    tokenFile: join(dir, `${site}.token`),
    stateDir: join(dir, site),
  };
}

/** Each lab begins with empty sites. A token stays, for who has read it. */
function layOut({ stateDir, tokenFile }: LabSite): void {
  rmSync(stateDir, { recursive: true, force: true });
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  if (!existsSync(tokenFile))
    writeFileSync(tokenFile, `${randomBytes(24).toString("hex")}\n`, { mode: 0o600 });
}

function labRunsThere(dir: string, pid: number | undefined): SpillwayError {
  return new SpillwayError({
    place: dir,
    problem: `a lab runs there already${pid === undefined ? "" : `, as process ${pid}`}`,
    mend: "Stop it with Ctrl-C in its terminal, or give another --dir.",
  });
}
