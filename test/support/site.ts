import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pushImage } from "../../lib/image";
import { type AgentOptions, type RunningAgent, startAgent } from "../../lib/site/agent";
import type { PoolSpec, PoolStatus } from "../../lib/site/api";
import { SiteClient } from "../../lib/site/client";
import type { Balancer, NameServer, SnapshotMaker } from "../../lib/site/ports";
import { sleep } from "../../lib/wait";
import { clearSite, localPorts } from "../../providers/local";
import { baseEnvironment } from "../../providers/local/process";
import type { MadeImage } from "./image";

export { makeImage, type ImageOptions, type MadeImage } from "./image";
export { processesOf } from "./processes";

export interface SiteOptions {
  /** @default "cloud" */
  readonly site?: string;
  /** Where its pools listen. @default "127.0.0.1" */
  readonly address?: string;
  /** Gives the site a name server, on a free port of 127.0.0.1. @default false */
  readonly nameServer?: boolean;
  /** Of a site in this process: a name server of another kind. */
  readonly namedBy?: NameServer;
  /** Of a site in this process: a balancer of another kind. Its agent starts though it cannot be used. */
  readonly balancedBy?: Balancer;
  /** Of a site in this process: who makes snapshots of its images. @default nobody */
  readonly snapshots?: SnapshotMaker;
  /** Of a site in this process: {@link AgentOptions.retainImages}. */
  readonly retainImages?: AgentOptions["retainImages"];
}

/** A site that runs for a test. */
export interface TestSite {
  readonly site: string;
  readonly address: string;
  readonly endpoint: string;
  readonly token: string;
  readonly tokenFile: string;
  readonly stateDir: string;
  readonly client: SiteClient;
  /** `address:port` of its name server. */
  readonly nameServer?: string;
  /** What its agent logged. */
  log(): string;
  /** Ends everything that runs at the site, and removes its state. */
  close(): Promise<void>;
}

/** A site whose agent is a process of its own. */
export interface TestSiteProcess extends TestSite {
  pid(): number;
  /** `kill -9` of the agent; what it runs goes on. */
  kill(): Promise<void>;
  /** Starts the agent again, at the same address. */
  restart(): Promise<void>;
}

interface Ground {
  readonly site: string;
  readonly address: string;
  readonly root: string;
  readonly stateDir: string;
  readonly token: string;
  readonly tokenFile: string;
  readonly nameServer?: string;
}

/** Starts a site with its agent in this process. */
export async function startSite(options: SiteOptions = {}): Promise<TestSite> {
  const ground = await prepare(options);
  const { site, stateDir, token, nameServer } = ground;
  let log = "";
  const agent = await startAgent({
    site,
    stateDir,
    listen: { host: "127.0.0.1", port: 0 },
    token,
    retainImages: options.retainImages,
    ports: {
      ...localPorts({ stateDir, nameServer: nameServer ? parse(nameServer) : undefined }),
      ...(options.namedBy ? { nameServer: options.namedBy } : {}),
      ...(options.balancedBy ? { balancer: options.balancedBy } : {}),
      snapshots: options.snapshots,
    },
    log: (line) => (log += `${line}\n`),
    ...(options.balancedBy ? { waitForParts: true } : {}),
  });
  return { ...siteOf(ground, agent.endpoint), log: () => log, close: () => endInProcess(ground, agent) };
}

/** Starts a site with its agent as a process that can be killed. */
export async function startSiteProcess(options: SiteOptions = {}): Promise<TestSiteProcess> {
  const ground = await prepare(options);
  const { site, stateDir, tokenFile, nameServer } = ground;
  const listen = `127.0.0.1:${await freePort("127.0.0.1")}`;
  const logFile = join(ground.root, "agent.log");
  const main = join(__dirname, "../../dist/providers/local/agent-main.js");
  const args = [main, "--site", site, "--state", stateDir, "--listen", listen, "--token-file", tokenFile];
  if (nameServer) args.push("--name-server", nameServer);
  let child: ChildProcess | undefined;
  const start = async () => {
    const said = tryRead(logFile).length;
    const log = openSync(logFile, "a");
    child = spawn(process.execPath, args, { env: baseEnvironment(), stdio: ["ignore", log, log] });
    closeSync(log);
    const deadline = Date.now() + 20_000;
    while (!tryRead(logFile).slice(said).includes("ready at ")) {
      if (Date.now() > deadline || child.exitCode !== null) {
        throw new Error(`the agent did not start: ${tryRead(logFile).slice(said)}`);
      }
      await sleep(10);
    }
  };
  const kill = async (signal: NodeJS.Signals = "SIGKILL") => {
    const running = child;
    if (!running || running.exitCode !== null || running.signalCode !== null) return;
    const gone = new Promise((resolve) => running.once("exit", resolve));
    running.kill(signal);
    await gone;
  };
  try {
    await start();
  } catch (error) {
    await kill();
    throw error;
  }
  const common = siteOf(ground, `http://${listen}`);
  return {
    ...common,
    log: () => tryRead(logFile),
    pid: () => child?.pid ?? 0,
    kill: () => kill(),
    restart: start,
    close: async () => {
      await kill();
      common.client.close();
      await clearSite(stateDir);
      rmSync(ground.root, { recursive: true, force: true });
    },
  };
}

/** Transfers an image to a site. */
export async function push(site: TestSite, image: MadeImage): Promise<void> {
  await pushImage({
    source: image.path,
    target: site.client,
    context: { signal: new AbortController().signal, progress: () => undefined },
    cacheDirectory: join(site.stateDir, "..", "cache"),
  });
}

/** A pool that is quick in everything, at a free port of the site. */
export async function poolSpec(
  site: TestSite,
  image: MadeImage,
  changes: Partial<PoolSpec> = {},
): Promise<PoolSpec> {
  return {
    owner: "test",
    image: image.digest,
    members: 2,
    listen: { address: site.address, port: await freePort(site.address), mode: "http" },
    monitor: { type: "http", path: "/", expectStatus: 200, intervalMs: 50, timeoutMs: 500, rise: 1, fall: 2 },
    affinity: "none",
    maxConnections: 0,
    sessionIdleMs: 300,
    environment: {},
    launchTimeoutMs: 5_000,
    drainTimeoutMs: 5_000,
    ...changes,
  };
}

/** Looks until the pool is as asked; tells what it was last when it never is. `undefined`: it is gone. */
export async function poolUntil(
  site: TestSite,
  name: string,
  is: (status: PoolStatus | undefined) => boolean,
  deadlineMs = 15_000,
): Promise<PoolStatus | undefined> {
  const deadline = Date.now() + deadlineMs;
  for (;;) {
    const status = await site.client.pool(name);
    if (is(status)) return status;
    if (Date.now() > deadline) {
      throw new Error(
        `waited ${deadlineMs} ms; pool ${name} is ${JSON.stringify(status, null, 1)}\n${site.log()}`,
      );
    }
    await sleep(30);
  }
}

/** Are so many members up, and nobody else there? */
export function allUp(count: number): (status: PoolStatus | undefined) => boolean {
  return (status) =>
    status?.phase === "ready" &&
    status.members.length === count &&
    status.members.every(({ state }) => state === "up");
}

/** A TCP port at `address` on which nobody listens. */
export async function freePort(address: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen({ host: address, port: 0, exclusive: true }, () => {
      const bound = server.address();
      server.close(() =>
        bound && typeof bound === "object" ? resolve(bound.port) : reject(new Error("no port")),
      );
    });
  });
}

async function prepare(options: SiteOptions): Promise<Ground> {
  const { site = "cloud", address = "127.0.0.1" } = options;
  const root = mkdtempSync(join(tmpdir(), `spillway-${site}-`));
  const token = randomBytes(24).toString("hex");
  const tokenFile = join(root, "token");
  writeFileSync(tokenFile, `${token}\n`, { mode: 0o600 });
  const nameServer = options.nameServer ? `127.0.0.1:${await freePort("127.0.0.1")}` : undefined;
  return { site, address, root, stateDir: join(root, "state"), token, tokenFile, nameServer };
}

function siteOf(ground: Ground, endpoint: string): Omit<TestSite, "log" | "close"> {
  const { site, address, token, tokenFile, stateDir, nameServer } = ground;
  const client = new SiteClient(site, { endpoint, tokenFile });
  return { site, address, endpoint, token, tokenFile, stateDir, nameServer, client };
}

async function endInProcess(ground: Ground, agent: RunningAgent): Promise<void> {
  await agent.close();
  await clearSite(ground.stateDir);
  rmSync(ground.root, { recursive: true, force: true });
}

function parse(text: string): { host: string; port: number } {
  const at = text.lastIndexOf(":");
  return { host: text.slice(0, at), port: Number(text.slice(at + 1)) };
}

function tryRead(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
