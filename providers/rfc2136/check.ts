import { SpillwayError, type ProblemReport } from "../../lib/errors";
import { formatHostPort, MARK_LABEL, rcodeOf } from "../dns";
import { sendUpdate } from "./exchange";
import { askPrimary } from "./look";
import { settingsOf, type Rfc2136Options, type Settings } from "./options";
import { deleteRecord, textData } from "./wire";

/** What a look at a server found. */
export interface CheckResult {
  /** With any of these nothing is written. */
  readonly problems: readonly ProblemReport[];
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
export async function checkServer(settings: Settings): Promise<CheckResult> {
  const problems: ProblemReport[] = [];
  for (const zone of settings.zones) {
    try {
      await checkZone(zone, settings);
    } catch (error) {
      if (!(error instanceof SpillwayError)) throw error;
      problems.push(error.report);
    }
  }
  return { problems, warnings: [] };
}

async function checkZone(zone: string, settings: Settings): Promise<void> {
  const { server, requestMs } = settings;
  const answer = await askPrimary(server, { name: zone, type: "SOA", timeoutMs: requestMs });
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
