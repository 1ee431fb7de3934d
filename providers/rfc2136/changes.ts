import { createHash } from "node:crypto";
import type { RecordSpec } from "../../lib/site/api";
import { characterStrings, formatMark, markName, type OwnershipMark } from "../dns";
import { answerType } from "../local/nameserver/zone";
import {
  addRecord,
  addressData,
  deleteRecord,
  deleteSet,
  nameIsFree,
  setIs,
  setIsAbsent,
  textData,
  type Update,
  type UpdateLine,
} from "./wire";

/** A mark as it stands, to the byte: what the next update wants to find again. */
export interface PresentMark {
  readonly mark: OwnershipMark;
  readonly strings: readonly string[];
}

/** BIND takes 100 records of one type at one name (max-records-per-type), so the index has many names. */
const INDEX_PARTS = 64;

/**
 * Where all records of one installation in a zone are pointed to, so that they are found without a transfer of the zone: one PTR
 * each, at one of 64 names like `2f.onprem._spillway.example.test`.
 */
export function indexNames(agent: string, zone: string): readonly string[] {
  return Array.from({ length: INDEX_PARTS }, (_, part) => indexName(agent, zone, part));
}

function indexNameOf(agent: string, zone: string, name: string): string {
  return indexName(agent, zone, hash(name).readUInt8(0) % INDEX_PARTS);
}

function indexName(agent: string, zone: string, part: number): string {
  const isLabel = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(agent) && agent.length <= 63;
  const label = isLabel ? agent : `x-${hash(agent).toString("hex").slice(0, 40)}`;
  return `${part.toString(16).padStart(2, "0")}.${label}.${markName(zone)}`;
}

function hash(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/** The update that makes the record so, if it still stands as it was read. */
export function putUpdate(
  zone: string,
  name: string,
  present: PresentMark | undefined,
  mark: OwnershipMark,
  addresses: readonly string[],
): Update {
  const type = answerType(mark.spec.answers[0]);
  const text = textData(characterStrings(formatMark(mark)));
  const { ttlSeconds } = mark.spec;
  return {
    zone,
    prerequisites: present ? stillOurs(name, present) : stillFree(name, type),
    changes: [
      ...ANSWERING.map((one) => deleteSet(name, one)),
      deleteSet(markName(name), "TXT"),
      addRecord(markName(name), "TXT", 0, text),
      ...addresses.map((address) => addRecord(name, type, ttlSeconds, addressData(type, address))),
      addRecord(indexNameOf(mark.agent, zone, name), "PTR", 0, addressData("PTR", name)),
    ],
  };
}

/** An update that the server takes or refuses as it would {@link putUpdate}, and that changes nothing: what it deletes is not there. */
export function trialUpdate(
  zone: string,
  name: string,
  present: PresentMark | undefined,
  spec: RecordSpec,
): Update {
  return {
    zone,
    prerequisites: present ? stillOurs(name, present) : stillFree(name, answerType(spec.answers[0])),
    changes: [deleteRecord(markName(name), "TXT", textData(["is this update allowed?"]))],
  };
}

/** The update that takes the record away, if it still stands as it was read. */
export function removeUpdate(zone: string, name: string, present: PresentMark): Update {
  return {
    zone,
    prerequisites: stillOurs(name, present),
    changes: [
      ...ANSWERING.map((one) => deleteSet(name, one)),
      deleteSet(markName(name), "TXT"),
      deleteRecord(indexNameOf(present.mark.agent, zone, name), "PTR", addressData("PTR", name)),
    ],
  };
}

const ANSWERING = ["A", "AAAA", "CNAME"] as const;

function stillOurs(name: string, { strings }: PresentMark): readonly UpdateLine[] {
  return setIs(markName(name), "TXT", [textData(strings)]);
}

function stillFree(name: string, type: "A" | "AAAA" | "CNAME"): readonly UpdateLine[] {
  return [
    setIsAbsent(markName(name), "TXT"),
    // An alias tolerates nothing beside it, and a server that has something drops it without a word (RFC 2136, 3.4.2.2).
    ...(type === "CNAME" ? [nameIsFree(name)] : ANSWERING.map((one) => setIsAbsent(name, one))),
  ];
}
