import { createHmac, timingSafeEqual } from "node:crypto";
import { encodeName, skipName, TYPE, uint16 } from "./wire";

/** Algorithms that are signed with. RFC 8945 (6) has more; MD5 and SHA-1 are not to be used any longer. */
export const ALGORITHMS = ["hmac-sha256", "hmac-sha384", "hmac-sha512"] as const;
export type TsigAlgorithm = (typeof ALGORITHMS)[number];

export interface TsigKey {
  readonly name: string;
  readonly algorithm: TsigAlgorithm;
  readonly secret: Buffer;
}

/** Errors that a server tells in its TSIG (RFC 8945, 3). */
export const TSIG_ERROR: Readonly<Record<number, string>> = {
  16: "BADSIG",
  17: "BADKEY",
  18: "BADTIME",
  22: "BADTRUNC",
};

const CLASS_ANY = 255;
const FUDGE_SECONDS = 300;

export interface Signed {
  readonly message: Buffer;
  /** Kept to verify the answer, which signs it too. */
  readonly mac: Buffer;
}

/** Adds a TSIG to a message (RFC 8945, 4.2 and 5.1). `nowSeconds` since 1970. */
export function sign(message: Buffer, key: TsigKey, nowSeconds: number, requestMac?: Buffer): Signed {
  const fields: Fields = { time: nowSeconds, fudge: FUDGE_SECONDS, error: 0, other: Buffer.alloc(0) };
  const mac = macOf(message, key, fields, requestMac);
  const data = Buffer.concat([
    encodeName(key.algorithm),
    uint48(fields.time),
    uint16(fields.fudge),
    uint16(mac.length),
    mac,
    message.subarray(0, 2),
    uint16(fields.error),
    uint16(0),
  ]);
  const record = Buffer.concat([
    encodeName(key.name),
    uint16(TYPE.TSIG),
    uint16(CLASS_ANY),
    Buffer.alloc(4),
    uint16(data.length),
    data,
  ]);
  const signed = Buffer.concat([message, record]);
  signed.writeUInt16BE(message.readUInt16BE(10) + 1, 10);
  return { message: signed, mac };
}

/** What an answer's TSIG says of it. */
export type Verification =
  | { readonly kind: "good" }
  /** No TSIG at all: anyone may have sent it. */
  | { readonly kind: "unsigned" }
  /** The server did not accept our signature. `serverSeconds`: its clock, when that is what it found wrong. */
  | { readonly kind: "refused"; readonly error: number; readonly serverSeconds?: number }
  | { readonly kind: "bad"; readonly why: string };

/** Verifies the answer to a request that was signed with `requestMac` (RFC 8945, 5.3). Never throws. */
export function verify(message: Buffer, key: TsigKey, requestMac: Buffer, nowSeconds: number): Verification {
  let found: Found | undefined;
  try {
    found = findTsig(message);
  } catch {
    return { kind: "bad", why: "its signature cannot be read" };
  }
  if (found === undefined) return { kind: "unsigned" };
  const { error, other } = found.fields;
  const serverSeconds = error === 18 && other.length === 6 ? other.readUIntBE(0, 6) : undefined;
  if (found.mac.length === 0) {
    return error === 0 ? { kind: "bad", why: "its signature is empty" } : { kind: "refused", error };
  }
  if (found.keyName !== nameKey(key.name)) return { kind: "bad", why: "it is signed with another key" };
  if (found.algorithm !== nameKey(key.algorithm)) {
    return { kind: "bad", why: "it is signed with another algorithm" };
  }
  const bare = Buffer.from(message.subarray(0, found.start));
  bare.writeUInt16BE(message.readUInt16BE(10) - 1, 10);
  bare.writeUInt16BE(found.originalId, 0);
  const expected = macOf(bare, key, found.fields, requestMac);
  if (found.mac.length !== expected.length || !timingSafeEqual(found.mac, expected)) {
    return { kind: "bad", why: "its signature is wrong" };
  }
  if (error !== 0)
    return { kind: "refused", error, ...(serverSeconds === undefined ? {} : { serverSeconds }) };
  if (Math.abs(nowSeconds - found.fields.time) > found.fields.fudge) {
    return { kind: "bad", why: `it was signed ${Math.abs(nowSeconds - found.fields.time)} s from now` };
  }
  return { kind: "good" };
}

interface Fields {
  readonly time: number;
  readonly fudge: number;
  readonly error: number;
  readonly other: Buffer;
}

interface Found {
  /** Where the record begins. */
  readonly start: number;
  readonly keyName: string;
  readonly algorithm: string;
  readonly mac: Buffer;
  readonly originalId: number;
  readonly fields: Fields;
}

function macOf(message: Buffer, key: TsigKey, fields: Fields, requestMac: Buffer | undefined): Buffer {
  const hash = createHmac(key.algorithm.slice("hmac-".length), key.secret);
  if (requestMac !== undefined) hash.update(uint16(requestMac.length)).update(requestMac);
  return hash
    .update(message)
    .update(encodeName(key.name))
    .update(uint16(CLASS_ANY))
    .update(Buffer.alloc(4))
    .update(encodeName(key.algorithm))
    .update(uint48(fields.time))
    .update(uint16(fields.fudge))
    .update(uint16(fields.error))
    .update(uint16(fields.other.length))
    .update(fields.other)
    .digest();
}

/** The TSIG is the last record of all (RFC 8945, 5.2). @throws RangeError for a message that is cut off */
function findTsig(message: Buffer): Found | undefined {
  const additional = message.readUInt16BE(10);
  if (additional === 0) return undefined;
  let at = 12;
  for (let question = message.readUInt16BE(4); question > 0; question -= 1) at = skipName(message, at) + 4;
  const records = message.readUInt16BE(6) + message.readUInt16BE(8) + additional;
  let start = at;
  for (let record = 0; record < records; record += 1) {
    start = at;
    const fixed = skipName(message, at);
    at = fixed + 10 + message.readUInt16BE(fixed + 8);
  }
  const fixed = skipName(message, start);
  if (message.readUInt16BE(fixed) !== TYPE.TSIG) return undefined;
  if (message.readUInt16BE(fixed + 2) !== CLASS_ANY || message.readUInt32BE(fixed + 4) !== 0)
    throw new RangeError("not a TSIG");
  if (at !== message.length) throw new RangeError("more after the TSIG");
  let field = fixed + 10;
  const algorithmEnd = skipName(message, field);
  const algorithm = nameAt(message, field);
  field = algorithmEnd;
  const time = message.readUIntBE(field, 6);
  const fudge = message.readUInt16BE(field + 6);
  const macLength = message.readUInt16BE(field + 8);
  const macStart = field + 10;
  const rest = macStart + macLength;
  const otherLength = message.readUInt16BE(rest + 4);
  if (rest + 6 + otherLength !== message.length) throw new RangeError("lengths do not fit");
  return {
    start,
    keyName: nameAt(message, start),
    algorithm,
    mac: message.subarray(macStart, rest),
    originalId: message.readUInt16BE(rest),
    fields: {
      time,
      fudge,
      error: message.readUInt16BE(rest + 2),
      other: message.subarray(rest + 6),
    },
  };
}

/** A name of the TSIG, for comparison: lower case, and pointers followed (some servers compress it). @throws RangeError */
function nameAt(message: Buffer, offset: number): string {
  const labels: string[] = [];
  for (let at = offset, jumps = 0; ;) {
    const length = message.readUInt8(at);
    if (length === 0) return labels.join(".");
    if ((length & 0xc0) === 0xc0) {
      jumps += 1;
      if (jumps > 16) throw new RangeError("pointers in a circle");
      at = message.readUInt16BE(at) & 0x3fff;
      continue;
    }
    if (at + 1 + length > message.length) throw new RangeError("cut off");
    labels.push(message.toString("latin1", at + 1, at + 1 + length).toLowerCase());
    at += 1 + length;
  }
}

function nameKey(name: string): string {
  return name.toLowerCase().replace(/\.$/, "");
}

function uint48(value: number): Buffer {
  const data = Buffer.alloc(6);
  data.writeUIntBE(value, 0, 6);
  return data;
}
