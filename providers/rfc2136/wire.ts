import { isIPv6 } from "node:net";

/** Types that are written, by their numbers (RFC 1035, RFC 3596). */
export const TYPE = { A: 1, CNAME: 5, PTR: 12, TXT: 16, AAAA: 28, TSIG: 250, ANY: 255, SOA: 6 } as const;
export type RecordType = "A" | "AAAA" | "CNAME" | "PTR" | "TXT";

const CLASS = { IN: 1, NONE: 254, ANY: 255 } as const;
const UPDATE_OPCODE = 5;

/** One line of an update: a prerequisite or a change. It is what its name, type, class and data make it (RFC 2136, 2.4 and 2.5). */
export interface UpdateLine {
  readonly name: string;
  readonly type: RecordType | "ANY";
  readonly klass: keyof typeof CLASS;
  readonly ttl: number;
  readonly data: Buffer;
}

/** An update: all of it or nothing, and only if every prerequisite holds. */
export interface Update {
  readonly zone: string;
  readonly prerequisites: readonly UpdateLine[];
  readonly changes: readonly UpdateLine[];
}

const NO_DATA = Buffer.alloc(0);

/** Prerequisite: the set is exactly this (RFC 2136, 2.4.2). */
export function setIs(name: string, type: RecordType, data: readonly Buffer[]): readonly UpdateLine[] {
  return data.map((one) => ({ name, type, klass: "IN", ttl: 0, data: one }));
}

/** Prerequisite: there is no such set (2.4.3). */
export function setIsAbsent(name: string, type: RecordType): UpdateLine {
  return { name, type, klass: "NONE", ttl: 0, data: NO_DATA };
}

/** Prerequisite: the name has no records of any type (2.4.5). */
export function nameIsFree(name: string): UpdateLine {
  return { name, type: "ANY", klass: "NONE", ttl: 0, data: NO_DATA };
}

export function addRecord(name: string, type: RecordType, ttl: number, data: Buffer): UpdateLine {
  return { name, type, klass: "IN", ttl, data };
}

export function deleteSet(name: string, type: RecordType): UpdateLine {
  return { name, type, klass: "ANY", ttl: 0, data: NO_DATA };
}

export function deleteRecord(name: string, type: RecordType, data: Buffer): UpdateLine {
  return { name, type, klass: "NONE", ttl: 0, data };
}

/** The update as a message (RFC 2136, 2). */
export function encodeUpdate(id: number, update: Update): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt16BE(id, 0);
  head.writeUInt16BE(UPDATE_OPCODE << 11, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(update.prerequisites.length, 6);
  head.writeUInt16BE(update.changes.length, 8);
  const zone = Buffer.concat([encodeName(update.zone), uint16(TYPE.SOA), uint16(CLASS.IN)]);
  return Buffer.concat([head, zone, ...[...update.prerequisites, ...update.changes].map(encodeLine)]);
}

function encodeLine({ name, type, klass, ttl, data }: UpdateLine): Buffer {
  const times = Buffer.alloc(4);
  times.writeUInt32BE(ttl);
  return Buffer.concat([
    encodeName(name),
    uint16(TYPE[type]),
    uint16(CLASS[klass]),
    times,
    uint16(data.length),
    data,
  ]);
}

/** A name without compression, in lower case. Labels are plain text: no dots or escapes within them. */
export function encodeName(name: string): Buffer {
  const labels = name === "" ? [] : name.toLowerCase().split(".");
  const parts = labels.map((label) => {
    const text = Buffer.from(label, "latin1");
    if (text.length === 0 || text.length > 63) throw new RangeError(`not a label: "${label}"`);
    return Buffer.concat([Buffer.of(text.length), text]);
  });
  return Buffer.concat([...parts, Buffer.of(0)]);
}

/** Data of an A, AAAA, CNAME or PTR record. */
export function addressData(type: "A" | "AAAA" | "CNAME" | "PTR", value: string): Buffer {
  if (type === "A") return Buffer.from(value.split(".").map(Number));
  if (type === "AAAA") return ipv6Data(value);
  return encodeName(value.replace(/\.$/, ""));
}

/** Data of a TXT record. */
export function textData(strings: readonly string[]): Buffer {
  return Buffer.concat(
    strings.map((text) => {
      const bytes = Buffer.from(text, "latin1");
      return Buffer.concat([Buffer.of(bytes.length), bytes]);
    }),
  );
}

function ipv6Data(address: string): Buffer {
  if (!isIPv6(address) || address.includes("%")) throw new RangeError(`not an IPv6 address: ${address}`);
  // The URL parser brings every spelling (with an IPv4 tail, with ::) to hexadecimal groups.
  const [front, back] = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::");
  const groups = (part: string | undefined) =>
    part === undefined || part === "" ? [] : part.split(":").map((group) => parseInt(group, 16));
  const [head, tail] = [groups(front), groups(back)];
  const data = Buffer.alloc(16);
  head.forEach((group, at) => data.writeUInt16BE(group, 2 * at));
  tail.forEach((group, at) => data.writeUInt16BE(group, 16 - 2 * (tail.length - at)));
  return data;
}

export function uint16(value: number): Buffer {
  const data = Buffer.alloc(2);
  data.writeUInt16BE(value);
  return data;
}

/** Where the name at `offset` ends: at a zero, or behind a pointer. @throws RangeError */
export function skipName(message: Buffer, offset: number): number {
  for (let at = offset; ;) {
    const length = message.readUInt8(at);
    if (length === 0) return at + 1;
    if ((length & 0xc0) === 0xc0) return at + 2;
    at += 1 + length;
  }
}
