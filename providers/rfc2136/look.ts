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
  readMark,
} from "../dns";
import { normalName } from "../local/nameserver/names";
import { serverSilent } from "./errors";

/** Asks the primary, over UDP and if need be TCP. @throws SpillwayError when it does not answer */
export async function askPrimary(server: HostPort, question: Question): Promise<DnsAnswer> {
  try {
    return await ask(server, question);
  } catch (error) {
    throw serverSilent(server, messageOf(error), error);
  }
}

/** Marks at a mark's name, whosever. Other texts may come from a wildcard; whether they stand there is the update's prerequisite. */
export async function markTexts(
  server: HostPort,
  name: string,
  timeoutMs: number,
): Promise<readonly (readonly string[])[]> {
  const answer = await askPrimary(server, { name: markName(name), type: "TXT", timeoutMs });
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
