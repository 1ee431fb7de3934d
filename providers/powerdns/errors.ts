import { type ProblemReport, SpillwayError } from "../../lib/errors";
import { controlProblem } from "../local/control";

export function apiUnreachable(api: string, why: string, cause: unknown): SpillwayError {
  return new SpillwayError(
    {
      place: `PowerDNS at ${api}`,
      problem: `its HTTP API does not answer: ${why}`,
      mend: "Start pdns_server, or correct `api`; it needs api=yes, webserver=yes and webserver-allow-from with the agent's address.",
    },
    { cause },
  );
}

/** Refusals are not tried again: they have a code. */
export function refusedBy(report: ProblemReport): SpillwayError {
  return controlProblem("invalid", report);
}

export function wrongKey(api: string): SpillwayError {
  return refusedBy({
    place: `PowerDNS at ${api}`,
    problem: "it refuses the API key (401)",
    mend: "Give the key that is `api-key` in its pdns.conf, and restart the agent if its environment holds it.",
  });
}

/** Said by a server that answers: what it cannot hold there, it does not. */
export class NoSuchZone extends SpillwayError {
  constructor(api: string, zone: string) {
    const problem = `it has no zone "${zone}"`;
    super(
      {
        place: `PowerDNS at ${api}`,
        problem,
        mend: `Create it (pdnsutil create-zone ${zone}), or correct \`zones\`.`,
      },
      { cause: Object.assign(new Error(problem), { code: "invalid" }) },
    );
  }
}

export function outsideZones(name: string, zones: readonly string[]): SpillwayError {
  return refusedBy({
    place: `record ${name}`,
    problem: `"${name}" is in none of the zones that may be written: ${zones.join(", ")}`,
    mend: "Correct the name, or add its zone to `zones`.",
    attribute: ["name"],
  });
}

export function refusedChange(api: string, name: string, why: string): SpillwayError {
  return refusedBy({
    place: `record ${name} at PowerDNS ${api}`,
    problem: `it refuses the change: ${why}`,
    mend: "Nothing was changed. Correct the record, or the zone.",
  });
}

export function notSeenUp(
  name: string,
  addresses: readonly string[],
  seen: string,
  waitedMs: number,
): SpillwayError {
  return refusedBy({
    place: `record ${name}`,
    problem: `PowerDNS does not see ${addresses.join(", ")} up after ${waitedMs} ms (${seen})`,
    mend: "Users stay where they were. Let PowerDNS reach these addresses, or correct `health`.",
    attribute: ["answers"],
  });
}

export function notAnswered(api: string, name: string, endpoint: string, seen: string): SpillwayError {
  return refusedBy({
    place: `record ${name} at PowerDNS ${api}`,
    problem: `it was written, but ${endpoint} answers ${seen}`,
    mend: "It was taken back. Set enable-lua-records=shared, let `endpoint` be this server, and look for a zone below this one that holds the name.",
  });
}
