import { SpillwayError, messageOf } from "../../lib/errors";
import { sleep } from "../../lib/wait";
import { formatHostPort, type HostPort } from "./address";
import { ask, NoAnswer, rcodeOf } from "./ask";

const LOOK_MS = 50;
const SERVER_FAILURE = 2;

/** Is serial `one` the same as, or after, `other`? In the arithmetic of RFC 1982: they wrap around. */
export function serialReached(one: number, other: number): boolean {
  return ((one - other) | 0) >= 0;
}

/**
 * The serial of a zone's SOA at one server; undefined when it does not have the zone.
 * @throws NoAnswer, also of one that has the zone and cannot tell (it is expired)
 */
export async function zoneSerial(
  server: HostPort,
  zone: string,
  timeoutMs = 2_000,
): Promise<number | undefined> {
  const found = await ask(server, { name: zone, type: "SOA", timeoutMs });
  if (rcodeOf(found) === SERVER_FAILURE) throw new NoAnswer("it cannot tell (SERVFAIL)");
  for (const answer of found.answers ?? []) if (answer.type === "SOA") return answer.data.serial;
  return undefined;
}

/**
 * Waits until each secondary has the zone with this serial, or a later one: before that, some users still get the old answer.
 * @throws SpillwayError naming those that do not have it when the time is over
 * @throws AbortedError
 */
export async function untilSecondariesHave(
  secondaries: readonly HostPort[],
  zone: string,
  serial: number,
  deadlineMs: number,
  signal?: AbortSignal,
): Promise<void> {
  const until = Date.now() + deadlineMs;
  const late = (await Promise.all(secondaries.map((one) => follow(one, zone, serial, until, signal)))).filter(
    (problem) => problem !== undefined,
  );
  if (late.length === 0) return;
  throw new SpillwayError({
    place: `zone ${zone}`,
    problem: `the primary has serial ${serial}, but after ${deadlineMs} ms ${late.join("; ")}`,
    mend: "The primary answers as declared. Look at NOTIFY and transfers to the secondaries, then apply again: it goes on waiting for them.",
  });
}

async function follow(
  server: HostPort,
  zone: string,
  serial: number,
  until: number,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  let seen = "has not answered";
  for (;;) {
    try {
      const present = await zoneSerial(server, zone, Math.max(Math.min(1_000, until - Date.now()), LOOK_MS));
      if (present !== undefined && serialReached(present, serial)) return undefined;
      seen = present === undefined ? "does not have the zone" : `still has serial ${present}`;
    } catch (error) {
      seen = `does not answer (${messageOf(error)})`;
    }
    if (Date.now() >= until) return `secondary ${formatHostPort(server)} ${seen}`;
    await sleep(LOOK_MS, signal);
  }
}
