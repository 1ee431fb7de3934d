import { type ProblemReport, SpillwayError } from "../../lib/errors";
import { formatHostPort, type HostPort } from "../dns";
import { controlProblem } from "../local/control";
import { TSIG_ERROR, type TsigKey } from "./tsig";

/** Somebody changed the record since it was read (a prerequisite did not hold), or again at once: it is not as was asked for. */
export class LostRace extends SpillwayError {
  constructor(server: HostPort, subject: string) {
    super({
      place: `${subject} at ${formatHostPort(server)}`,
      problem: "somebody else changed it while it was being changed",
      mend: "What stands there is theirs, whole. Find out who writes there; applying again goes on from what stands there now.",
    });
  }
}

export function serverSilent(server: HostPort, why: string, cause: unknown): SpillwayError {
  return new SpillwayError(
    {
      place: `name server ${formatHostPort(server)}`,
      problem: `it does not answer: ${why}`,
      mend: "Start it, or correct `server`; updates need TCP.",
    },
    { cause },
  );
}

/** Refusals are not tried again: they have a code. */
function refused(report: ProblemReport): SpillwayError {
  return controlProblem("invalid", report);
}

export function badSignature(
  server: HostPort,
  key: TsigKey,
  error: number,
  serverSeconds: number | undefined,
): SpillwayError {
  const place = `name server ${formatHostPort(server)}`;
  const shown = `TSIG key "${key.name}" (${key.algorithm})`;
  const name = TSIG_ERROR[error] ?? String(error);
  if (error === 17)
    return refused({
      place,
      problem: `it does not know ${shown} (${name})`,
      mend: "Give the key's name and algorithm as they are in its configuration.",
    });
  if (error === 18) {
    const apart =
      serverSeconds === undefined ? "" : `, ${Math.round(serverSeconds - Date.now() / 1_000)} s apart`;
    return new SpillwayError({
      place,
      problem: `its clock and this machine's differ too much${apart} (${name})`,
      mend: "Let both keep time (NTP).",
    });
  }
  return refused({
    place,
    problem: `it finds the signature of ${shown} wrong (${name})`,
    mend: "The secrets differ: give the one that is in its configuration.",
  });
}

/** The answer cannot be trusted, so it is not known whether the change was made. */
export function untrustedAnswer(server: HostPort, why: string): SpillwayError {
  return new SpillwayError({
    place: `name server ${formatHostPort(server)}`,
    problem: `its answer to a signed update cannot be trusted: ${why}`,
    mend: "Look for something between that answers in its place; then apply again.",
  });
}

/** What a response code says of an update (RFC 2136, 3). */
export function refusedUpdate(server: HostPort, zone: string, rcode: number, key: TsigKey): SpillwayError {
  const place = `zone ${zone} at ${formatHostPort(server)}`;
  switch (rcode) {
    case 2:
      return new SpillwayError({
        place,
        problem: "it failed to make the change (SERVFAIL)",
        mend: "Its log says why; often its journal or zone file cannot be written.",
      });
    case 4:
      return refused({ place, problem: "it takes no dynamic updates (NOTIMP)", mend: "Enable them there." });
    case 5:
      return refused({
        place,
        problem: `it refuses updates with TSIG key "${key.name}" (REFUSED)`,
        mend: "Allow the key there: allow-update or update-policy (BIND), acl with action update (Knot), dnsupdate=yes and TSIG-ALLOW-DNSUPDATE (PowerDNS, which says no more of a wrong secret either).",
      });
    case 9:
      return refused({
        place,
        problem: `it is not the primary of zone "${zone}" (NOTAUTH)`,
        mend: "Give the zone's primary as `server`, or correct `zones`.",
      });
    case 10:
      return refused({
        place,
        problem: "a name of the record is not in the zone (NOTZONE)",
        mend: "Name the zone that holds it in `zones`; it may have been delegated.",
      });
    default:
      return refused({
        place,
        problem: `it refuses the update with code ${rcode}`,
        mend: "Its log says why.",
      });
  }
}

export function outsideZones(name: string, zones: readonly string[]): SpillwayError {
  return refused({
    place: `record ${name}`,
    problem: `"${name}" is in none of the zones that may be written: ${zones.join(", ")}`,
    mend: "Correct the name, or add its zone to `zones`.",
    attribute: ["name"],
  });
}

export function refusedPlan(reports: readonly ProblemReport[]): SpillwayError {
  const [first] = reports;
  return refused({ ...first, problem: reports.map(({ problem }) => problem).join("; ") });
}

export function unmarkedRecord(server: HostPort, name: string): SpillwayError {
  return controlProblem("owned-by-another", {
    place: `record ${name} at ${formatHostPort(server)}`,
    problem: `"${name}" has records that Spillway did not write`,
    mend: "Choose another name, or remove them first: they are never overwritten.",
    attribute: ["name"],
  });
}

export function stillOld(server: HostPort, name: string, waitedMs: number): SpillwayError {
  return new SpillwayError({
    place: `record ${name} at ${formatHostPort(server)}`,
    problem: `the update was made, but after ${waitedMs} ms the server still answers something else`,
    mend: "It caches its own answers (PowerDNS: cache-ttl and query-cache-ttl), or a zone below holds the name. Applying again looks anew.",
  });
}
