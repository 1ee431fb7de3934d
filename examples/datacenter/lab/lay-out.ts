import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { SpillwayError, throwProblems } from "../../../lib/errors";
import { thisProcess } from "../../../lib/process-identity";
import { FOLDER_PREFIX, endAbandoned } from "./abandoned";
import { ADDRESSES, PORTS, WAN_PREFIX, prefixOf } from "./addresses";
import { LabDaemon, type DaemonPlan } from "./daemon";
import { endWithProcess } from "./ending";
import {
  addClientAddresses,
  makeNamespaces,
  namespaceNames,
  routeClientsLine,
  routeOverWan,
  setRouterCut,
} from "./network";
import type {
  Datacenter,
  LayOutOptions,
  Line,
  PartName,
  RunOptions,
  RunResult,
  SpawnOptions,
} from "./options";
import { preparePowerDns } from "./powerdns";
import { nodeExporterPlan, prometheusPlan } from "./prometheus";
import { PATH, missingParts } from "./requirements";
import { accessOf, prepareSite } from "./site";
import { LabFile, readLab } from "./state";
import { isThere, tearDown } from "./tear-down";
import { compileEmulator, linePlan } from "./wan";

/**
 * Lays out two sites, users and a name server, each in a network namespace of its own, with HAProxy, PowerDNS and Prometheus.
 * @throws SpillwayError, SpillwayErrors for all that this machine lacks, a directory that is in use, or a part that does not start;
 * then nothing is left behind
 */
export async function layOut(options: LayOutOptions = {}): Promise<Datacenter> {
  throwProblems(missingParts({ prometheus: options.prometheus }));
  endAbandoned();
  const dir = ownDirectory(options.dir);
  const say = options.onStep ?? (() => undefined);
  const id = randomBytes(3).toString("hex");
  const namespaces = namespaceNames(id);
  const zone = options.zone ?? "example.test";
  const api = `http://${ADDRESSES.gslb}:${PORTS.powerdnsApi}`;
  const [onprem, cloud] = [accessOf(dir, "onprem"), accessOf(dir, "cloud")];
  const lab = new LabFile({
    version: 1,
    id,
    dir,
    ...(options.endWithProcess === false ? {} : { owner: await thisProcess() }),
    namespaces,
    processes: {},
    cut: [],
    zone,
    port: options.port ?? 8080,
    sites: { onprem, cloud },
    nameServer: { host: ADDRESSES.gslb, port: PORTS.dns },
    powerdns: { api, keyFile: join(dir, "powerdns.key") },
    ...(options.prometheus === false
      ? {}
      : { prometheus: { endpoint: `http://${ADDRESSES.onprem}:${PORTS.prometheus}` } }),
  });
  const stay = options.endWithProcess === false ? () => undefined : endWithProcess(() => lab.now);
  const parts = new Map<PartName, LabDaemon>();
  const start = async (...plans: readonly DaemonPlan[]) => {
    const daemons = plans.map((plan) => new LabDaemon(lab, plan));
    for (const daemon of daemons) parts.set(daemon.name, daemon);
    const outcomes = await Promise.allSettled(daemons.map((daemon) => daemon.start()));
    for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  };
  const end = () => {
    tearDown(lab.now);
    stay();
  };
  try {
    say(`network namespaces ${namespaces.onprem}, ...`);
    const program = compileEmulator(dir);
    makeNamespaces(namespaces, ADDRESSES.gslb, options.clientsLine ? ["clients"] : []);
    await start(
      linePlan({
        ...{ name: "wan" as const, program, dir, prefix: WAN_PREFIX, line: options.wan ?? {} },
        ends: [namespaces.onprem, namespaces.cloud],
      }),
      ...(options.clientsLine
        ? [
            linePlan({
              ...{ name: "clients-line" as const, program, dir, line: options.clientsLine },
              ...{
                prefix: prefixOf(ADDRESSES.clients),
                ends: [namespaces.router, namespaces.clients] as const,
              },
            }),
          ]
        : []),
    );
    routeOverWan(namespaces);
    if (options.clientsLine) routeClientsLine(namespaces);
    const device = options.clientsLine ? "wan0" : "lan0";
    const clientAddresses = addClientAddresses(namespaces, options.clientAddresses ?? 0, device);
    say("PowerDNS");
    const powerdns = preparePowerDns(dir, namespaces.gslb, zone);
    await start(powerdns.plan);
    say("agents, each with its HAProxy");
    const nameServer = nameServerOf(lab, options);
    await start(
      prepareSite(dir, namespaces.onprem, onprem, nameServer, options),
      prepareSite(dir, namespaces.cloud, cloud, undefined, options),
    );
    if (options.prometheus !== false) {
      say("Prometheus and node exporters");
      await start(
        prometheusPlan(dir, namespaces.onprem, [onprem, cloud]),
        nodeExporterPlan(dir, namespaces.onprem, onprem),
        nodeExporterPlan(dir, namespaces.cloud, cloud),
      );
    }
    return {
      ...handleOf(lab),
      clientAddresses,
      part: (name) => {
        const found = parts.get(name);
        if (found === undefined)
          throw new Error(`the lab has no part "${name}", only ${[...parts.keys()].join(", ")}`);
        return found;
      },
      close: async () => end(),
    };
  } catch (error) {
    end();
    throw error;
  }
}

/** What can be done in a lab by whoever knows its file. */
export function handleOf(lab: LabFile): Omit<Datacenter, "clientAddresses" | "part" | "close"> {
  const { id, dir, namespaces, zone, port, nameServer, powerdns, prometheus, sites } = lab.now;
  return {
    ...{ id, dir, namespaces, addresses: ADDRESSES, zone, port, nameServer, powerdns, prometheus },
    site: (name) => sites[name],
    run: (place, argv, options) => runIn(namespaces[place], argv, options),
    spawn: (place, argv, options) => spawnIn(namespaces[place], argv, options),
    cut: (line) => setCut(lab, line, true),
    heal: (line) => setCut(lab, line, false),
  };
}

/** A lab that others laid out. @throws SpillwayError when there is none */
export function openLab(dir: string): LabFile {
  const state = readLab(resolve(dir));
  if (state !== undefined) return new LabFile(state);
  throw new SpillwayError({
    place: resolve(dir),
    problem: "no lab is laid out there",
    mend: "Lay one out with `up`, or name the directory of another with --dir.",
  });
}

function nameServerOf(lab: LabFile, options: LayOutOptions): Record<string, unknown> {
  const { nameServer, powerdns, zone, port } = lab.now;
  const path = options.healthPath ?? "/healthz";
  return {
    kind: "powerdns",
    api: powerdns.api,
    apiKey: { file: powerdns.keyFile },
    // The lab's network is its own.
    allowPlainHttp: true,
    agent: `onprem.${zone}`,
    zones: [zone],
    endpoint: `${nameServer.host}:${nameServer.port}`,
    ...(path === false ? {} : { health: { type: "http", port, path } }),
    ...options.nameServer,
  };
}

function setCut(lab: LabFile, line: Line, isCut: boolean): void {
  const before = lab.now.cut;
  if (before.includes(line) === isCut) return;
  const after = isCut ? [...before, line] : before.filter((other) => other !== line);
  setRouterCut(lab.now.namespaces.router, line, isCut);
  const wan = lab.now.processes.wan;
  if (wan !== undefined && isThere(wan) && isWanDown(before) !== isWanDown(after)) {
    // The emulator turns the outage on and off by turns.
    process.kill(wan.pid, "SIGUSR2");
  }
  lab.change({ cut: after });
}

/** A site that is cut off has no line to the other one either. */
function isWanDown(cut: readonly Line[]): boolean {
  return cut.some((line) => line === "wan" || line === "onprem" || line === "cloud");
}

function ownDirectory(given: string | undefined): string {
  if (given === undefined) return mkdtempSync(join(tmpdir(), FOLDER_PREFIX));
  const dir = resolve(given);
  const refuse = (problem: string, mend: string) => new SpillwayError({ place: dir, problem, mend });
  const state = readLab(dir);
  if (state !== undefined) {
    const runs = state.owner === undefined || isThere(state.owner);
    if (runs)
      throw refuse("a lab is laid out there already", "End it with `down`, or name another directory.");
    tearDown(state);
  }
  if (existsSync(dir) && readdirSync(dir).length > 0)
    throw refuse("it is not empty, and holds no lab", "Name a directory that does not exist yet.");
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  return dir;
}

function spawnIn(namespace: string, argv: readonly string[], options: SpawnOptions = {}): ChildProcess {
  const log = options.log === undefined ? undefined : openSync(options.log, "a", 0o600);
  try {
    return spawn("ip", ["netns", "exec", namespace, ...argv], {
      cwd: options.cwd,
      env: { ...process.env, PATH, ...options.env },
      stdio: options.stdio ?? (log === undefined ? ["ignore", "pipe", "pipe"] : ["ignore", log, log]),
    });
  } finally {
    if (log !== undefined) closeSync(log);
  }
}

function runIn(namespace: string, argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return new Promise((settle, reject) => {
    const child = spawnIn(namespace, argv, { ...options, stdio: ["pipe", "pipe", "pipe"] });
    const output = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const) {
      child[name]?.setEncoding("utf8").on("data", (text: string) => (output[name] += text));
    }
    const timer =
      options.timeoutMs === undefined
        ? undefined
        : setTimeout(() => child.kill("SIGKILL"), options.timeoutMs);
    child.once("error", reject);
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      settle({
        code: code ?? 1,
        ...output,
        ...(signal ? { stderr: `${output.stderr}ended by ${signal}\n` } : {}),
      });
    });
    // It may end without reading.
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(options.input ?? "");
  });
}
