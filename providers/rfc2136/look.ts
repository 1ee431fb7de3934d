import { messageOf } from "../../lib/errors";
import {
  ask,
  type DnsAnswer,
  type HostPort,
  markName,
  isMark,
  mustBeFree,
  type OwnershipMark,
  type Question,
  rcodeOf,
  readMark,
} from "../dns";
import { normalName } from "../local/nameserver/names";
import { serverSilent } from "./errors";

const NO_ERROR = 0;
const NO_SUCH_NAME = 3;

/** Asks the primary, over UDP and if need be TCP, whatever it says. @throws SpillwayError when it does not answer */
export async function askAnything(server: HostPort, question: Question): Promise<DnsAnswer> {
  try {
    return await ask(server, question);
  } catch (error) {
    throw serverSilent(server, messageOf(error), error);
  }
}

/**
 * Asks the primary for what stands in a zone. A server that cannot tell (its zone is expired, or it refuses) has not said that nothing
 * is there, while secondaries may go on answering it.
 * @throws SpillwayError when it does not answer, or cannot tell
 */
export async function askPrimary(server: HostPort, question: Question): Promise<DnsAnswer> {
  const answer = await askAnything(server, question);
  const code = rcodeOf(answer);
  if (code === NO_ERROR || code === NO_SUCH_NAME) return answer;
  throw serverSilent(server, `it cannot tell what stands at ${question.name} (code ${code})`, undefined);
}

/** Marks at a mark's name, whosever. Other texts may come from a wildcard; whether they stand there is the update's prerequisite. */
export async function markTexts(
  server: HostPort,
  name: string,
  timeoutMs: number,
  asked = askPrimary,
): Promise<readonly (readonly string[])[]> {
  const answer = await asked(server, { name: markName(name), type: "TXT", timeoutMs });
  return (answer.answers ?? [])
    .flatMap((record) => (record.type === "TXT" ? [[record.data].flat()] : []))
    .map((strings) => strings.map((part) => (typeof part === "string" ? part : part.toString("latin1"))))
    .filter((strings) => isMark(strings.join("")));
}

/** The addresses that the name itself is answered with, and their TTL. */
export async function answeredAddresses(
  server: HostPort,
  name: string,
  type: "A" | "AAAA" | "CNAME",
  timeoutMs: number,
): Promise<{ readonly addresses: readonly string[]; readonly ttlSeconds: number | undefined }> {
  const { answers } = await askPrimary(server, { name, type, timeoutMs });
  const found = (answers ?? []).filter(
    (record) => record.type === type && normalName(record.name) === name,
  ) as readonly { readonly data: string; readonly ttl?: number }[];
  return { addresses: found.map(({ data }) => data), ttlSeconds: found[0]?.ttl };
}

/** Our mark among these texts, undefined when there is none. @throws SpillwayError with code `owned-by-another` */
export function ownMark(
  name: string,
  texts: readonly (readonly string[])[],
  agent: string,
): OwnershipMark | undefined {
  return mustBeFree(name, { marks: texts.map((strings) => strings.join("")), types: [] }, agent);
}

/** The same without an opinion: for lists. */
export function ownMarkIfAny(
  texts: readonly (readonly string[])[],
  agent: string,
): OwnershipMark | undefined {
  if (texts.length !== 1) return undefined;
  const reading = readMark(texts[0].join(""), agent);
  return reading.kind === "ours" ? reading.mark : undefined;
}
