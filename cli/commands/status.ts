import { existsSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { formatBytes, formatDuration } from "../../lib/duration";
import { AbortedError } from "../../lib/errors";
import {
  leaseHolder,
  readStatus,
  stateDirectory,
  type HookStatus,
  type PrePositionStatus,
} from "../../lib/hook";
import { formatCap } from "../../lib/image/bandwidth";
import type { PoolTraffic, SiteContext } from "../../lib/site/api";
import { SiteDirectory } from "../../lib/site/client";
import { sleep, type Progress } from "../../lib/wait";
import { EXIT, interruptSignal, printable, reportsOf, table } from "../output";
import { endpointsOf } from "../project";

export interface StatusOptions {
  readonly dir: string;
  readonly watch?: boolean;
  readonly json?: boolean;
}

/** A balancer tells an absurdly long quiet of a pool that nobody ever used. */
const NEVER_USED_MS = Number.MAX_SAFE_INTEGER / 2;

type SiteNow = { site: string; context: SiteContext } | { site: string; problem: string; mend: string };

/** An agent that does not answer is part of the status, not a reason to wait. */
const PATIENCE = { retryBudgetMs: 0, timeoutMs: 3_000 };

export async function run(options: StatusOptions): Promise<number> {
  const signal = interruptSignal();
  const dir = resolve(options.dir);
  const sites = new SiteDirectory(endpointsOf(dir));
  try {
    for (;;) {
      const now = await Promise.all(sites.names.map((site) => lookAt(sites, site)));
      const hooks = await hookStatuses(dir);
      const ok = now.every((site) => "context" in site);
      if (options.json) process.stdout.write(`${JSON.stringify({ ok, sites: now, hooks })}\n`);
      else {
        if (options.watch && process.stdout.isTTY) process.stdout.write("\x1b[2J\x1b[H");
        process.stdout.write(`${printable(render(now, hooks))}\n`);
      }
      if (!options.watch) return ok ? EXIT.ok : EXIT.failed;
      await sleep(1_000, signal);
    }
  } catch (error) {
    if (error instanceof AbortedError) return EXIT.ok;
    throw error;
  } finally {
    sites.close();
  }
}

async function lookAt(sites: SiteDirectory, site: string): Promise<SiteNow> {
  try {
    return { site, context: await sites.get(site).context(PATIENCE) };
  } catch (error) {
    const [{ problem, mend }] = reportsOf(error);
    return { site, problem, mend };
  }
}

/** What a hook wrote of itself, and whether it is still there to do what it says. */
type HookNow = HookStatus & { readonly alive: boolean };

async function hookStatuses(dir: string): Promise<Record<string, HookNow>> {
  const statuses: Record<string, HookNow> = {};
  for (const name of hookNames(dir)) {
    const { status: file, lease } = stateDirectory(dir, name);
    const status = readStatus(file);
    if (status) statuses[name] = { ...status, alive: (await leaseHolder(lease)) !== undefined };
  }
  return statuses;
}

function hookNames(dir: string): readonly string[] {
  const folder = join(dir, ".spillway");
  if (!existsSync(folder)) return [];
  return readdirSync(folder).filter((name) => existsSync(stateDirectory(dir, name).status));
}

function render(sites: readonly SiteNow[], hooks: Record<string, HookNow>): string {
  const pools = [["SITE", "POOL", "PHASE", "MEMBERS UP", "SESSIONS", "REQUESTS/S", "P95", "QUIET FOR"]];
  const lines: string[] = [];
  for (const entry of sites) {
    if ("problem" in entry) {
      lines.push(`${entry.site}: ${entry.problem}. ${entry.mend}`);
      continue;
    }
    for (const { name, phase, traffic } of entry.context.pools) {
      pools.push([
        entry.site,
        name,
        phase,
        `${traffic.membersUp} of ${traffic.members}`,
        String(traffic.sessions),
        traffic.requestsPerSecond.toFixed(0),
        `${traffic.latencyMs.p95.toFixed(0)} ms`,
        quietFor(traffic),
      ]);
    }
    for (const image of entry.context.images) {
      const state = image.complete
        ? "complete"
        : `${formatBytes(image.presentBytes)} of ${formatBytes(image.sizeBytes)} here`;
      lines.push(`${entry.site}: image ${image.digest.slice(0, 19)}… ${state}`);
    }
    if (entry.context.recordsProblem !== undefined)
      lines.push(`${entry.site}: ${entry.context.recordsProblem}`);
    for (const record of entry.context.records) {
      const answers = record.spec.answers.map((answer) => `${answer.site} ${answer.weight} %`).join(", ");
      lines.push(`${entry.site}: record ${record.name} ${answers}, TTL ${record.spec.ttlSeconds} s`);
    }
  }
  for (const [name, status] of Object.entries(hooks)) lines.push(...hookLines(name, status));
  const asked = sites.some((entry) => "context" in entry);
  const head =
    pools.length > 1
      ? table(pools)
      : asked
        ? "no pools"
        : "no site could be asked: nothing is known of pools";
  return [head, ...lines].join("\n");
}

function quietFor({ openConnections, quietMs }: PoolTraffic): string {
  if (openConnections > 0) return "-";
  return quietMs >= NEVER_USED_MS ? "never used" : formatDuration(quietMs);
}

function hookLines(name: string, status: HookNow): string[] {
  if (!status.alive) {
    const ago = formatDuration(Date.now() - status.updatedAt);
    return [`hook ${name}: not running; it was ${status.phase} when it was heard of last, ${ago} ago`];
  }
  const lines = [
    `hook ${name}: ${status.phase} for ${formatDuration(Date.now() - status.phaseSince)}; ${status.next}`,
  ];
  if (status.lastChange)
    lines.push(`hook ${name}: last change: ${status.lastChange.action}: ${status.lastChange.reason}`);
  const progress = status.running?.progress;
  if (status.running) {
    const what = progress ? `${progress.step} ${progress.subject}: ${progress.message}` : status.running.step;
    const parts = [what, ...(progress ? howFar(progress) : [])];
    lines.push(
      `hook ${name}: running for ${formatDuration(Date.now() - status.running.since)}: ${parts.join(", ")}`,
    );
  }
  if (status.prePosition) lines.push(...prePositionLines(name, status.prePosition));
  if (status.lastProblem)
    lines.push(
      `hook ${name}: ${status.failures === 1 ? "failed" : `${status.failures} failures in a row`}: ${status.lastProblem}`,
    );
  return lines;
}

function howFar({ fraction, etaMs }: Pick<Progress, "fraction" | "etaMs">): readonly string[] {
  return [
    ...(fraction === undefined ? [] : [`${Math.floor(fraction * 100)} %`]),
    ...(etaMs === undefined ? [] : [`${formatDuration(etaMs)} to go`]),
  ];
}

function prePositionLines(name: string, status: PrePositionStatus): string[] {
  const { lastDone, lastProblem, nextAt, running, seed, why } = status;
  const head = `hook ${name}: image`;
  const next = nextAt === undefined ? "" : `, next in ${formatDuration(Math.max(0, nextAt - Date.now()))}`;
  const parts = [
    running?.capBps === undefined ? undefined : `at most ${formatCap(running.capBps)}`,
    running?.message,
    ...(running ? howFar(running) : []),
  ].filter((part) => part !== undefined);
  const lines = [
    running
      ? `${head}: brought nearer for ${formatDuration(Date.now() - running.since)}: ${parts.join(", ") || why}`
      : `${head}: not brought nearer now: ${why}${next}`,
  ];
  if (lastDone) {
    const earlier = lastDone.superseded.length;
    const others =
      earlier === 0 ? "" : `; ${earlier} earlier ${earlier === 1 ? "one is" : "ones are"} kept there too`;
    lines.push(
      `${head}: ${lastDone.digest.slice(0, 19)}… was at the cloud ${formatDuration(Date.now() - lastDone.doneAt)} ago, ${formatBytes(lastDone.sentBytes)} sent${others}`,
    );
  }
  if (lastProblem) lines.push(`${head}: ${status.failures} failures in a row: ${lastProblem}`);
  if (seed) lines.push(`${head}: ${seed.reason}`);
  return lines;
}
