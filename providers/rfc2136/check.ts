import { SpillwayError, type ProblemReport } from "../../lib/errors";
import { formatHostPort, MARK_LABEL, rcodeOf } from "../dns";
import { answerType } from "../local/nameserver/zone";
import { sendUpdate } from "./exchange";
import { Index } from "./index-names";
import { answeredAddresses, askAnything } from "./look";
import { settingsOf, type Rfc2136Options, type Settings } from "./options";
import { planAnswers } from "./weights";
import { deleteRecord, textData } from "./wire";

/** Two addresses in turn would come in the same order so often once in 2,048 times. */
const ENOUGH_QUESTIONS = 12;

/** What a look at a server found. */
export interface CheckResult {
  /** All that is wrong. */
  readonly problems: readonly ProblemReport[];
  /** By zone: nothing is written to it, and the others go on. */
  readonly zones: ReadonlyMap<string, readonly ProblemReport[]>;
  /** It works, but not as one would think. */
  readonly warnings: readonly ProblemReport[];
}

/**
 * Looks whether this server takes our updates, and changes nothing: it is asked, signed, to delete a text that is not there. For
 * `doctor`, and before anything is written.
 * @throws SpillwayError, SpillwayErrors for options that cannot be
 */
export function checkRfc2136(options: Rfc2136Options): Promise<CheckResult> {
  return checkServer(settingsOf(options));
}

/** {@link checkRfc2136} with options that were checked already. */
export async function checkServer(settings: Settings, signal?: AbortSignal): Promise<CheckResult> {
  const zones = new Map<string, readonly ProblemReport[]>();
  const warnings: ProblemReport[] = [];
  for (const zone of settings.zones) {
    signal?.throwIfAborted();
    try {
      await checkZone(zone, settings);
    } catch (error) {
      if (!(error instanceof SpillwayError)) throw error;
      zones.set(zone, [error.report]);
    }
  }
  const problems = [...zones.values()].flat();
  if (problems.length === 0)
    warnings.push(...(await checkKind(settings)), ...(await checkTurning(settings, signal)));
  return { problems, zones, warnings };
}

async function checkZone(zone: string, settings: Settings): Promise<void> {
  const { server, requestMs } = settings;
  const answer = await askAnything(server, { name: zone, type: "SOA", timeoutMs: requestMs });
  const hasSoa = (answer.answers ?? []).some(({ type }) => type === "SOA");
  if (rcodeOf(answer) !== 0 || !answer.flag_aa || !hasSoa) {
    throw new SpillwayError({
      place: `name server ${formatHostPort(server)}`,
      problem: `it has no zone "${zone}" of its own (code ${rcodeOf(answer)})`,
      mend: "Give the zone's primary as `server`, or correct `zones`.",
    });
  }
  const name = `${MARK_LABEL}-check.${zone}`;
  await sendUpdate(settings, `zone ${zone}`, {
    zone,
    prerequisites: [],
    changes: [deleteRecord(name, "TXT", textData(["is this update allowed?"]))],
  });
}

/** PowerDNS forgets its cached answers before the update is done: asked in that moment, it keeps the old one. */
async function checkKind({ server, requestMs }: Settings): Promise<readonly ProblemReport[]> {
  const answer = await askAnything(server, {
    name: "version.bind",
    type: "TXT",
    klass: "CH",
    timeoutMs: requestMs,
  });
  const isPowerDns = (answer.answers ?? []).some(
    (record) => record.type === "TXT" && [record.data].flat().join("").startsWith("PowerDNS"),
  );
  if (!isPowerDns) return [];
  return [
    {
      place: `name server ${formatHostPort(server)}`,
      problem:
        "it is a PowerDNS: changed by an update it may give the old answer for its cache-ttl (20 s) longer",
      mend: "Use its HTTP API instead, which has weights and health checks too; or set cache-ttl=0 and query-cache-ttl=0 there.",
    },
  ];
}

/** Shares by number of addresses come from clients that take the first one: it must not always be the same. */
async function checkTurning(
  settings: Settings,
  signal: AbortSignal | undefined,
): Promise<readonly ProblemReport[]> {
  const { server, requestMs } = settings;
  const held = await new Index(settings).all(async (name, { spec, changedAt, serial }) => {
    signal?.throwIfAborted();
    return { name, spec, changedAt, serial };
  });
  const several = held.find(
    ({ name, spec }) => planAnswers(name, spec, settings.weights).addresses.length > 1,
  );
  if (several === undefined) return [];
  const type = answerType(several.spec.answers[0]);
  const first = new Set<string>();
  for (let asked = 0; asked < ENOUGH_QUESTIONS && first.size < 2; asked += 1) {
    signal?.throwIfAborted();
    const { addresses } = await answeredAddresses(server, several.name, type, requestMs);
    if (addresses.length < 2) return [];
    first.add(addresses[0]);
  }
  if (first.size > 1) return [];
  return [
    {
      place: `name server ${formatHostPort(server)}`,
      problem: `of ${several.name} it gave ${[...first].join()} first in each of ${ENOUGH_QUESTIONS} answers: most users would go there, whatever the weights`,
      mend: "Set answer-rotation: on (Knot), rrset-order random (BIND), or use its API, which has weights (PowerDNS keeps the order of an answer for cache-ttl).",
    },
  ];
}
