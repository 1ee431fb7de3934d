import { AbortedError, SpillwayError } from "../../errors";
import type { NamedQueries, QueryObserver } from "../../observers";
import type { MonitorSpec, PoolStatus } from "../../site/api";
import { SiteError, type SiteClient, type SiteDirectory } from "../../site/client";
import { waitFor, type Look, type StepContext } from "../../wait";
import { gateId, poolId, type GateName } from "../names";
import { lastAct, ONE_LOOK, throughSilence } from "../patience";
import { observerFor, whyClosed } from "../queries";
import { troublesOf } from "../troubles";
import { probe } from "./probe";
import { Row } from "./row";
import { ShiftAhead } from "./shift-ahead";

/** A gate that is to open. */
export interface GateRequest extends GateName {
  readonly monitor: MonitorSpec;
  /** Good answers in a row, from outside. */
  readonly successes: number;
  /** Members that must be up all that time. @default all the pool's members */
  readonly minMembers?: number;
  /** Conditions by name: each must hold in every look of the row. @default none */
  readonly openWhen?: NamedQueries;
  /** Who is asked for them. */
  readonly observer?: QueryObserver;
  readonly deadlineMs: number;
}

/** A gate that is open. */
export interface GateOpening {
  readonly id: string;
  readonly admittedAt: number;
}

/**
 * Step 3, first half: recognises that a pool is available. Probes its address from here, as users would reach it, and wants
 * `successes` good answers in a row while enough members are up. A bad answer, or a member that goes down meanwhile, begins the row
 * anew.
 *
 * When it does not open (a deadline, or every member failed), the pool is marked for a new try. When it is aborted, the pool is
 * left as it is: nothing is wrong with it.
 * @throws SpillwayError, DeadlineError, AbortedError
 */
export async function openGate(
  sites: SiteDirectory,
  request: GateRequest,
  context: StepContext,
): Promise<GateOpening> {
  const client = sites.get(request.site);
  const observer = observerFor(request.observer, request.openWhen, `gate of ${poolId(request)}`, "open_when");
  const wanted = await membersWanted(client, request, context);
  const members = { areAvailable: false };
  try {
    await untilAvailable(
      client,
      request,
      { wanted, members },
      observer,
      context,
      new ShiftAhead(sites, context),
    );
  } catch (error) {
    const isTheirs =
      !members.areAvailable &&
      !(error instanceof AbortedError || error instanceof PoolGone || error instanceof Hopeless);
    if (isTheirs) {
      const reason = error instanceof SpillwayError ? error.report.problem : String(error);
      await lastAct((options) => client.failPool(request.name, `the gate did not open: ${reason}`, options));
    }
    throw error;
  }
  const admittedAt = Date.now();
  const gate = { generation: request.generation, admittedAt };
  const status = await client.putGate(request.name, gate, { signal: context.signal });
  if (!status) throw new PoolGone(request);
  return { id: gateId(request), admittedAt };
}

/** @throws SpillwayError for a pool that is not there, or is too small for this gate */
async function membersWanted(
  client: SiteClient,
  request: GateRequest,
  context: StepContext,
): Promise<number> {
  const status = await client.pool(request.name, { signal: context.signal });
  if (!status) throw new PoolGone(request);
  const wanted = request.minMembers ?? status.spec.members;
  if (wanted <= status.spec.members) return wanted;
  throw new SpillwayError({
    place: `gate of ${poolId(request)}`,
    problem: `${wanted} members must be up, but the pool has ${status.spec.members}`,
    mend: "Lower `min_members`, or raise the pool's `members`.",
    attribute: ["min_members"],
  });
}

function untilAvailable(
  client: SiteClient,
  request: GateRequest,
  { wanted, members }: { readonly wanted: number; readonly members: { areAvailable: boolean } },
  observer: QueryObserver | undefined,
  context: StepContext,
  ahead: ShiftAhead,
): Promise<void> {
  const subject = poolId(request);
  const row = new Row();
  return waitFor(context, {
    step: "admit",
    subject,
    what: `${request.successes} good answers in a row from ${subject}`,
    deadlineMs: request.deadlineMs,
    intervalMs: request.monitor.intervalMs,
    mend: "Users stay where they were; members that did not become available are launched anew by the next apply. Look at the monitor (its path and expected status) and at the members' output at the site.",
    look: throughSilence(request.site, async (): Promise<Look<void>> => {
      const status = await client.pool(request.name, { ...ONE_LOOK, signal: context.signal });
      if (!status) throw new PoolGone(request);
      if (isHopeless(status, wanted)) throw neverAvailable(subject, status);
      ahead.foresee(status.spec.hosts ?? []);
      const up = status.members.filter(({ state }) => state === "up").map(({ id }) => id);
      const { port } = status.spec.listen;
      const answer = await probe(reachable(status, client), port, request.monitor, status.probeKey);
      const isAvailable = up.length >= wanted && answer.good;
      // What keeps the gate shut then is not theirs: they are not to be launched anew.
      members.areAvailable = isAvailable && observer !== undefined;
      const problem =
        up.length < wanted
          ? `${up.length} of ${wanted} members up${lastProblem(status)}`
          : answer.good
            ? await whyClosed(observer, request.openWhen ?? {}, context.signal)
            : `from outside: ${answer.problem}`;
      if (problem === undefined) members.areAvailable = false;
      row.see(up, problem === undefined);
      if (row.length >= request.successes) {
        const message = `available: ${row.length} good answers in a row, ${up.length} members up`;
        context.progress({ step: "admit", subject, message, fraction: 1 });
        return { done: true, value: undefined };
      }
      return {
        done: false,
        message: problem ?? `${row.length} of ${request.successes} good answers in a row`,
        fraction: row.length / request.successes,
      };
    }),
  });
}

/** The site gave it up: the pool as a whole, or so many members that too few are left. */
function isHopeless(status: PoolStatus, wanted: number): boolean {
  if (status.phase !== "failed") return false;
  const failed = status.members.filter(({ state }) => state === "failed").length;
  return failed === 0 || status.members.length - failed < wanted;
}

/** The address as it is reached from here: an agent's host stands for "any address". */
function reachable(status: PoolStatus, client: SiteClient): string {
  const { address } = status.spec.listen;
  if (address !== "0.0.0.0" && address !== "::") return address;
  return new URL(client.endpoint).hostname.replace(/^\[|\]$/g, "");
}

function lastProblem(status: PoolStatus): string {
  const found = status.members.find(({ state, problem }) => state !== "up" && problem !== undefined);
  return found ? ` (${found.id}: ${found.problem})` : "";
}

function neverAvailable(subject: string, status: PoolStatus): Hopeless {
  return new Hopeless({
    place: `gate of ${subject}`,
    problem: `too few members of ${subject} can become available: ${troublesOf(status).join("; ") || "all failed"}`,
    mend: "Users stay where they were. Mend what the members say, then apply again: they are launched anew.",
  });
}

/** The pool is marked for a new try already. */
class Hopeless extends SpillwayError {}

/** The pool went away under the gate. */
class PoolGone extends SiteError {
  constructor(gate: GateName) {
    super("not-found", {
      place: `gate of ${poolId(gate)}`,
      problem: `the pool ${poolId(gate)} is not there (any more)`,
      mend: "Refer to the `id` of a declared pool, so that the gate waits for its launch; then apply again.",
      attribute: ["pool"],
    });
  }
}
