import type { RecordAnswer, RecordSpec } from "../../lib/site/api";
import { parentName } from "../local/nameserver/names";

/** The version of the format that is written. Readers take any key that they do not know, and no higher version. */
export const MARK_VERSION = 1;

/** The label before a record's name where its mark stands: an alias has nothing beside it, so it cannot be the name itself. */
export const MARK_LABEL = "_spillway";

const HERITAGE = "spillway";
const STRING_BYTES = 255;

/** Who wrote a record, and what was declared: all that a server's own records do not tell. */
export interface OwnershipMark {
  /** The installation that writes it, unique among all that write to this server. */
  readonly agent: string;
  /** Which agent of that name: see {@link InstanceSource}. @default - not told */
  readonly instance?: string;
  readonly spec: RecordSpec;
  /** {@link RecordStatus.changedAt} */
  readonly changedAt: number;
  /** {@link RecordStatus.serial} */
  readonly serial: number;
  /** While a shift is under way: since when answers are given with this TTL, and when the declared one comes back. */
  readonly shift?: { readonly ttlSeconds: number; readonly raiseAt: number };
}

/** What stands at a mark's name. */
export type MarkReading =
  | { readonly kind: "ours"; readonly mark: OwnershipMark }
  | { readonly kind: "another"; readonly agent: string; readonly owner: string }
  | { readonly kind: "newer"; readonly version: string }
  | { readonly kind: "foreign"; readonly text: string };

/** `_spillway.shop.example.test` for `shop.example.test`. */
export function markName(name: string): string {
  return `${MARK_LABEL}.${name}`;
}

/** The record that a mark of this name is of; undefined when it is no mark's name. */
export function markedName(name: string): string | undefined {
  return name.startsWith(`${MARK_LABEL}.`) ? parentName(name) : undefined;
}

/**
 * The mark as one text, in the manner of external-dns: `heritage=spillway,spillway/version=1,spillway/agent=…`. Values are percent-encoded where
 * they are not letters, digits or one of `-._:/ `.
 */
export function formatMark(mark: OwnershipMark): string {
  const { spec, shift } = mark;
  const fields: (readonly [string, string])[] = [
    ["version", String(MARK_VERSION)],
    ["agent", escape(mark.agent)],
    ...(mark.instance === undefined ? [] : [["instance", escape(mark.instance)] as const]),
    ["owner", escape(spec.owner)],
    ["ttl", String(spec.ttlSeconds)],
    ["changed", String(mark.changedAt)],
    ["serial", String(mark.serial)],
    ...(shift ? [["shift", `${shift.ttlSeconds}|${shift.raiseAt}`] as const] : []),
    ...spec.answers.map(
      ({ site, address, weight, pool }) =>
        [
          "answer",
          [site, address, String(weight), ...(pool === undefined ? [] : [pool])].map(escape).join("|"),
        ] as const,
    ),
  ];
  return [`heritage=${HERITAGE}`, ...fields.map(([key, value]) => `${HERITAGE}/${key}=${value}`)].join(",");
}

/** Says this text of itself that it is a mark? */
export function isMark(text: string): boolean {
  return text === `heritage=${HERITAGE}` || text.startsWith(`heritage=${HERITAGE},`);
}

/** Reads a mark as this agent sees it. What is not wholly a mark is somebody's text, never half a mark. */
export function readMark(text: string, agent: string): MarkReading {
  const foreign: MarkReading = { kind: "foreign", text };
  const pairs = text.split(",").map((part) => {
    const at = part.indexOf("=");
    return at === -1 ? [part, ""] : [part.slice(0, at), part.slice(at + 1)];
  });
  if (!isMark(text)) return foreign;
  const all = (key: string) =>
    pairs.filter(([name]) => name === `${HERITAGE}/${key}`).map(([, value]) => value);
  const [version, ...more] = all("version");
  if (version === undefined || more.length > 0 || !/^\d+$/.test(version)) return foreign;
  if (Number(version) > MARK_VERSION) return { kind: "newer", version };
  try {
    const one = (key: string): string => {
      const [value, ...others] = all(key);
      if (value === undefined || others.length > 0) throw new Error(key);
      return value;
    };
    const holder = unescape(one("agent"));
    const owner = unescape(one("owner"));
    if (holder !== agent) return { kind: "another", agent: holder, owner };
    const [shift] = all("shift").map((value) => value.split("|").map(whole));
    const [instance] = all("instance").map(unescape);
    const answers = all("answer").map(answerOf);
    if (answers.length === 0) return foreign;
    return {
      kind: "ours",
      mark: {
        agent,
        ...(instance === undefined ? {} : { instance }),
        spec: { owner, ttlSeconds: whole(one("ttl")), answers },
        changedAt: whole(one("changed")),
        serial: whole(one("serial")),
        ...(shift === undefined ? {} : { shift: { ttlSeconds: shift[0], raiseAt: shift[1] } }),
      },
    };
  } catch {
    return foreign;
  }
}

/** A text as the character strings of one TXT record: 255 bytes each at most (RFC 1035, 3.3.14). The text is ASCII. */
export function characterStrings(text: string): readonly string[] {
  const strings: string[] = [];
  for (let at = 0; at < text.length; at += STRING_BYTES) strings.push(text.slice(at, at + STRING_BYTES));
  return strings;
}

function answerOf(value: string): RecordAnswer {
  const [site, address, weight, pool] = value.split("|").map(unescape);
  if (site === undefined || address === undefined) throw new Error("answer");
  if (weight === undefined || !/^\d+(\.\d+)?$/.test(weight)) throw new Error("weight");
  return { site, address, weight: Number(weight), ...(pool === undefined ? {} : { pool }) };
}

function whole(value: string | undefined): number {
  if (value === undefined || !/^\d{1,15}$/.test(value)) throw new Error("number");
  return Number(value);
}

/** Zone files, TXT strings and the commas and bars of the format itself: nothing of them may come out of a value. */
function escape(value: string): string {
  return encodeURIComponent(value)
    .replace(/[!'()*~]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
    .replace(/%(2F|3A|20)/g, (code) => decodeURIComponent(code));
}

function unescape(value: string): string {
  return decodeURIComponent(value);
}
