import { SpillwayError } from "../../errors";
import type { RecordAnswer, RecordSpec, RecordStatus } from "../../site/api";
import type { SiteClient, SiteDirectory } from "../../site/client";
import type { StepContext } from "../../wait";
import { letStay, moveUsers } from "./nudge";
import { rampWeights, type Ramp } from "./ramp";

/** A name and how it is to be answered. */
export interface DirectRequest {
  /** Fully qualified. */
  readonly name: string;
  /** The site whose name server answers for it. */
  readonly nameServer: string;
  readonly spec: RecordSpec;
  /** What was declared before, for the pools of answers that are no longer given. */
  readonly prior?: readonly RecordAnswer[];
  /** Go there in steps. @default in one */
  readonly ramp?: Ramp;
}

/**
 * Step 3, second half, and step 4's beginning: answers a name with weights, at once or in steps, and moves the users who keep a
 * connection, for they do not follow DNS. Pools that are in the set (again) stop asking their users to leave first; what was put is
 * read back.
 * @throws SiteError `owned-by-another`, `no-name-server`, …
 * @throws SpillwayError for a pool that is not there, and when a ramp saw failed answers
 * @throws AbortedError
 *
 * A ramp that ends with an error or is aborted puts the previous weights back. A change in one step does not: the record stays as it
 * was put, or as it was, and the next apply goes on from there.
 */
export async function directUsers(
  sites: SiteDirectory,
  request: DirectRequest,
  context: StepContext,
): Promise<RecordStatus> {
  const client = sites.get(request.nameServer);
  const before = await client.record(request.name, { signal: context.signal });
  const present = withPools(before?.spec.answers ?? [], [...(request.prior ?? []), ...request.spec.answers]);
  await letStay(sites, request.spec.answers, context);
  let last = before;
  const put = async (
    answers: readonly RecordAnswer[],
    from: readonly RecordAnswer[],
    signal: AbortSignal,
  ) => {
    const spec = { ...request.spec, answers };
    const status = await client.putRecord(request.name, spec, { signal });
    await moveUsers(sites, from, answers, staleMsOf(last, status), { ...context, signal });
    last = status;
    context.progress({ step: "direct", subject: request.name, message: `answers ${weightsOf(answers)}` });
    return status;
  };
  // Another's record refuses the first change, ramp or not, and then there is nothing to put back.
  const isOurs = before !== undefined && before.spec.owner === request.spec.owner;
  if (request.ramp && isOurs && before.spec.answers.length > 0) {
    const raised = { name: request.name, prior: present, target: request.spec.answers, ramp: request.ramp };
    await rampWeights(sites, raised, put, context);
  } else {
    await put(request.spec.answers, present, context.signal);
  }
  return readBack(client, request, context);
}

/** How long answers from before a put may live in caches, from now. */
function staleMsOf(before: RecordStatus | undefined, { serial, changedAt, staleMs, spec }: RecordStatus) {
  const stale = staleMs ?? (before?.spec ?? spec).ttlSeconds * 1_000;
  if (before?.serial !== serial) return stale;
  // It was so already. The other's clock may be wrong, but no answer is older than it may be.
  return Math.min(stale, Math.max(0, changedAt + stale - Date.now()));
}

/** The record as it is answered now. @throws SiteError */
export function findRecord(
  sites: SiteDirectory,
  record: { readonly nameServer: string; readonly name: string },
  context: StepContext,
): Promise<RecordStatus | undefined> {
  return sites.get(record.nameServer).record(record.name, { signal: context.signal });
}

/** Stops answering for the name. Idempotent. @throws SiteError `owned-by-another` */
export async function removeRecord(
  sites: SiteDirectory,
  record: { readonly nameServer: string; readonly name: string; readonly owner: string },
  context: StepContext,
): Promise<void> {
  await sites.get(record.nameServer).deleteRecord(record.name, record.owner, { signal: context.signal });
  context.progress({ step: "direct", subject: record.name, message: "removed" });
}

/** Do both sets say the same, in whatever order and spelling? */
export function sameAnswers(one: readonly RecordAnswer[], other: readonly RecordAnswer[]): boolean {
  const said = (answers: readonly RecordAnswer[]) =>
    answers.map(({ site, address, weight }) => `${site} ${normalAddress(address)} ${weight}`).sort();
  return JSON.stringify(said(one)) === JSON.stringify(said(other));
}

function normalAddress(address: string): string {
  return address.toLowerCase().replace(/\.$/, "");
}

/** Answers as they are, with the pool behind each as far as anyone knows it. */
function withPools(
  answers: readonly RecordAnswer[],
  hints: readonly RecordAnswer[],
): readonly RecordAnswer[] {
  return answers.map((answer) => {
    const pool =
      answer.pool ?? hints.find(({ site, pool: known }) => site === answer.site && known !== undefined)?.pool;
    return pool === undefined ? answer : { ...answer, pool };
  });
}

async function readBack(
  client: SiteClient,
  request: DirectRequest,
  context: StepContext,
): Promise<RecordStatus> {
  const status = await client.record(request.name, { signal: context.signal });
  const { spec } = request;
  if (
    status &&
    sameAnswers(status.spec.answers, spec.answers) &&
    status.spec.ttlSeconds === spec.ttlSeconds &&
    status.spec.owner === spec.owner
  ) {
    return status;
  }
  throw new SpillwayError({
    place: `record ${request.name} at ${request.nameServer}`,
    problem: `the name server was told to answer ${weightsOf(spec.answers)} and answers ${status ? weightsOf(status.spec.answers) : "nothing"}`,
    mend: "Someone else changes this record, or the name server lost it: find out who, then apply again.",
  });
}

function weightsOf(answers: readonly RecordAnswer[]): string {
  return answers.map(({ site, weight }) => `${site} ${weight} %`).join(", ");
}
