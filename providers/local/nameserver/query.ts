import { decode, type DecodedPacket } from "dns-packet";

/** EDNS as a query carries it (RFC 6891). */
export interface QueryEdns {
  readonly version: number;
  readonly payloadBytes: number;
  readonly dnssecOk: boolean;
  /** The client subnet option's data with the scope set to 0, to be sent back (RFC 7871, 7.2.1). */
  readonly clientSubnet: Buffer | undefined;
}

/** A query that can be answered, be it with a "no". */
export interface Query {
  readonly id: number;
  readonly opcode: number;
  readonly recursionDesired: boolean;
  readonly checkingDisabled: boolean;
  /** The question's bytes as they came: case is part of them. Undefined when it could not be read. */
  readonly question: Buffer | undefined;
  /** Lower case, without the dot at the end. Empty for the root. */
  readonly name: string;
  /** As the client spelled it. */
  readonly spelling: string;
  readonly type: string;
  readonly typeCode: number;
  readonly classCode: number;
  readonly edns: QueryEdns | undefined;
  readonly malformed: boolean;
}

const HEADER_BYTES = 12;
const MAX_EXTRA_RECORDS = 16;

/** Reads a query. Undefined for what must not be answered at all: too short for a header, or itself a response. */
export function readQuery(bytes: Buffer): Query | undefined {
  if (bytes.length < HEADER_BYTES) return undefined;
  const flags = bytes.readUInt16BE(2);
  if ((flags & 0x8000) !== 0) return undefined;
  const head = {
    id: bytes.readUInt16BE(0),
    opcode: (flags >> 11) & 0xf,
    recursionDesired: (flags & 0x0100) !== 0,
    checkingDisabled: (flags & 0x0010) !== 0,
  };
  const malformed: Query = { ...head, ...NO_QUESTION, malformed: true };
  // The counts are checked before any decoder makes room for that many records.
  const extra = bytes.readUInt16BE(6) + bytes.readUInt16BE(8) + bytes.readUInt16BE(10);
  if (bytes.readUInt16BE(4) !== 1 || extra > MAX_EXTRA_RECORDS) return malformed;
  const question = readQuestion(bytes);
  if (question === undefined) return malformed;
  let decoded: DecodedPacket;
  try {
    decoded = decode(bytes);
    if (decode.bytes > bytes.length) return { ...malformed, ...question };
  } catch {
    return { ...malformed, ...question };
  }
  const edns = readEdns(decoded);
  if (edns === "malformed") return { ...malformed, ...question };
  return { ...head, ...question, edns, malformed: false };
}

/** The types that are told apart; of all others nothing is held (RFC 3597 names them by number). */
const TYPES: Readonly<Record<number, string>> = {
  1: "A",
  2: "NS",
  5: "CNAME",
  6: "SOA",
  28: "AAAA",
  255: "ANY",
};

const NO_QUESTION = {
  question: undefined,
  name: "",
  spelling: "",
  type: "",
  typeCode: 0,
  classCode: 0,
  edns: undefined,
} as const;

/** The one question, without help from compression: there is nothing before it to point to. */
function readQuestion(bytes: Buffer) {
  const labels: string[] = [];
  let offset = HEADER_BYTES;
  for (;;) {
    if (offset >= bytes.length) return undefined;
    const length = bytes[offset];
    offset += 1;
    if (length === 0) break;
    if (length > 63 || offset + length > bytes.length || offset + length - HEADER_BYTES > 254)
      return undefined;
    // A dot inside a label is not a separator: it must not look like one.
    labels.push(bytes.toString("latin1", offset, offset + length).replaceAll(".", "\\."));
    offset += length;
  }
  if (offset + 4 > bytes.length) return undefined;
  const spelling = labels.join(".");
  const typeCode = bytes.readUInt16BE(offset);
  return {
    question: bytes.subarray(HEADER_BYTES, offset + 4),
    name: spelling.toLowerCase(),
    spelling,
    type: TYPES[typeCode] ?? `TYPE${typeCode}`,
    typeCode,
    classCode: bytes.readUInt16BE(offset + 2),
  };
}

function readEdns(decoded: DecodedPacket): QueryEdns | undefined | "malformed" {
  const found = (decoded.additionals ?? []).filter((record) => record.type === "OPT");
  if (found.length === 0) return undefined;
  const [opt] = found;
  if (found.length > 1 || opt.type !== "OPT" || opt.name !== ".") return "malformed";
  let clientSubnet: Buffer | undefined;
  for (const option of opt.options) {
    if (option.code !== CLIENT_SUBNET || !("data" in option)) continue;
    const data = option.data as Buffer;
    if (!isClientSubnet(data)) return "malformed";
    clientSubnet = Buffer.from(data);
    clientSubnet[3] = 0;
  }
  return {
    version: opt.ednsVersion,
    payloadBytes: opt.udpPayloadSize,
    dnssecOk: (opt.flags & 0x8000) !== 0,
    clientSubnet,
  };
}

const CLIENT_SUBNET = 8;

/** RFC 7871, 6: family, source prefix, scope (0 in a query), and just the octets that the prefix needs, the rest of them 0. */
function isClientSubnet(data: Buffer): boolean {
  if (data.length < 4) return false;
  const family = data.readUInt16BE(0);
  const prefix = data[2];
  const bits = family === 1 ? 32 : family === 2 ? 128 : 0;
  if (prefix > bits || data[3] !== 0 || data.length !== 4 + Math.ceil(prefix / 8)) return false;
  const spare = prefix % 8 === 0 ? 0 : 8 - (prefix % 8);
  return spare === 0 || (data[data.length - 1] & ((1 << spare) - 1)) === 0;
}
