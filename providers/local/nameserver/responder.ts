import { encode, type Answer } from "dns-packet";
import type { RecordAnswer, RecordStatus } from "../../../lib/site/api";
import { readQuery, type Query } from "./query";
import { answerType, serverName, Zones, type Finding, type Zone } from "./zone";

/** What we say we take over UDP (the DNS flag day's value), and the most that we send. */
const UDP_PAYLOAD_BYTES = 1_232;
const PLAIN_UDP_BYTES = 512;
const TCP_BYTES = 65_535;
const CACHE_ENTRIES = 4_096;

const FORMERR = 1;
const NXDOMAIN = 3;
const NOTIMP = 4;
const REFUSED = 5;
const BADVERS = 16;

export type Transport = "udp" | "tcp";

/** Ready answers to one query: of these, one is sent, chosen by weight. */
interface Ready {
  readonly variants: readonly Buffer[];
  /** Weights added up, for each variant. */
  readonly bounds: readonly number[];
}

/** From a query's bytes to an answer's. Never throws on what comes from the network. */
export class Responder {
  private zones = new Zones([], undefined);
  // Resolvers ask the same few questions with only the id changed; their bytes are the key.
  private readonly cache = new Map<string, Ready>();
  private serverAddress: string | undefined;

  constructor(
    /** 0 up to, but not, 1. */
    private readonly random: () => number = Math.random,
  ) {}

  /** What it answers from the next query on. `address`: the server's own, if it is one that clients can use. */
  load(records: readonly RecordStatus[], address: string | undefined): void {
    this.serverAddress = address;
    const type = address === undefined ? undefined : address.includes(":") ? "AAAA" : "A";
    this.zones = new Zones(records, type);
    this.cache.clear();
  }

  /** The answer, or undefined when there must be none. The buffer is the caller's. */
  respond(query: Buffer, transport: Transport): Buffer | undefined {
    if (query.length < 12) return undefined;
    const key = transport + query.toString("latin1", 2);
    let ready = this.cache.get(key);
    if (ready === undefined) {
      ready = this.prepare(query, transport);
      if (ready === undefined) return undefined;
      if (this.cache.size >= CACHE_ENTRIES) this.cache.clear();
      if (query.length <= PLAIN_UDP_BYTES) this.cache.set(key, ready);
    }
    const answer = Buffer.from(ready.variants.length === 1 ? ready.variants[0] : pick(ready, this.random()));
    answer[0] = query[0];
    answer[1] = query[1];
    return answer;
  }

  private prepare(bytes: Buffer, transport: Transport): Ready | undefined {
    const query = readQuery(bytes);
    if (query === undefined) return undefined;
    const limit =
      transport === "tcp"
        ? TCP_BYTES
        : Math.min(Math.max(query.edns?.payloadBytes ?? 0, PLAIN_UDP_BYTES), UDP_PAYLOAD_BYTES);
    const only = (rcode: number) => single(message(query, { rcode }, limit));
    if (query.opcode !== 0) return only(NOTIMP);
    if (query.malformed) return only(FORMERR);
    if ((query.edns?.version ?? 0) > 0) return only(BADVERS);
    if (isTransfer(query) || !isInternet(query)) return only(REFUSED);
    return this.answerTo(query, this.zones.find(query.name, query.type), limit);
  }

  private answerTo(query: Query, finding: Finding, limit: number): Ready {
    switch (finding.kind) {
      case "refused":
        return single(message(query, { rcode: REFUSED }, limit));
      case "answers": {
        const { answers, ttlSeconds } = finding.record.spec;
        let sum = 0;
        return {
          variants: answers.map((answer) =>
            message(
              query,
              { authoritative: true, answers: [addressRecord(query.spelling, answer, ttlSeconds)] },
              limit,
            ),
          ),
          bounds: answers.map((answer) => (sum += answer.weight)),
        };
      }
      case "soa":
        return single(
          message(query, { authoritative: true, answers: [soa(query.spelling, finding.zone)] }, limit),
        );
      case "ns": {
        const answers = [nameServer(query.spelling, finding.zone)];
        return single(
          message(query, { authoritative: true, answers, additionals: this.glue(finding.zone) }, limit),
        );
      }
      case "server-address":
        return single(
          message(query, { authoritative: true, answers: this.glue(finding.zone, query.spelling) }, limit),
        );
      case "no-data":
      case "no-name": {
        const rcode = finding.kind === "no-name" ? NXDOMAIN : 0;
        const authorities = [soa(finding.zone.apex, finding.zone)];
        return single(message(query, { authoritative: true, rcode, authorities }, limit));
      }
    }
  }

  private glue(zone: Zone, spelling = serverName(zone)): Answer[] {
    const data = this.serverAddress;
    if (data === undefined) return [];
    return [{ name: spelling, type: data.includes(":") ? "AAAA" : "A", ttl: zone.ttlSeconds, data }];
  }
}

function isInternet(query: Query): boolean {
  return query.classCode === 1 || query.classCode === 255;
}

/** Zone transfers and the old mail types: asked of nobody here. */
function isTransfer(query: Query): boolean {
  return query.typeCode >= 249 && query.typeCode <= 254;
}

function single(variant: Buffer): Ready {
  return { variants: [variant], bounds: [1] };
}

function pick({ variants, bounds }: Ready, random: number): Buffer {
  const at = random * bounds[bounds.length - 1];
  let index = 0;
  while (index < bounds.length - 1 && at >= bounds[index]) index += 1;
  return variants[index];
}

function addressRecord(name: string, answer: RecordAnswer, ttl: number): Answer {
  return { name, type: answerType(answer), ttl, data: answer.address };
}

function soa(name: string, zone: Zone): Answer {
  return {
    name,
    type: "SOA",
    ttl: zone.ttlSeconds,
    data: {
      mname: serverName(zone),
      rname: `hostmaster.${zone.apex}`,
      serial: zone.serial,
      refresh: 3_600,
      retry: 600,
      expire: 86_400,
      minimum: zone.ttlSeconds,
    },
  };
}

function nameServer(name: string, zone: Zone): Answer {
  return { name, type: "NS", ttl: zone.ttlSeconds, data: serverName(zone) };
}

interface Content {
  readonly rcode?: number;
  readonly authoritative?: boolean;
  readonly answers?: Answer[];
  readonly authorities?: Answer[];
  readonly additionals?: Answer[];
}

/** One response message. The records are dns-packet's work; the head and the question, which must come back as it was, are ours. */
function message(query: Query, content: Content, limit: number): Buffer {
  const { rcode = 0, answers = [], authorities = [], additionals = [] } = content;
  const question = query.question ?? Buffer.alloc(0);
  const opt = query.edns === undefined ? [] : [optRecord(query, rcode)];
  let records = encode({ type: "response", answers, authorities, additionals: [...additionals, ...opt] });
  let truncated = false;
  let counts = [answers.length, authorities.length, additionals.length + opt.length];
  if (question.length + records.length > limit) {
    records = encode({ type: "response", additionals: opt });
    counts = [0, 0, opt.length];
    truncated = true;
  }
  const head = Buffer.alloc(12);
  head.writeUInt16BE(
    0x8000 |
      (query.opcode << 11) |
      (content.authoritative === true ? 0x0400 : 0) |
      (truncated ? 0x0200 : 0) |
      (query.recursionDesired ? 0x0100 : 0) |
      (query.checkingDisabled ? 0x0010 : 0) |
      (rcode & 0xf),
    2,
  );
  head.writeUInt16BE(query.question === undefined ? 0 : 1, 4);
  counts.forEach((count, index) => head.writeUInt16BE(count, 6 + 2 * index));
  return Buffer.concat([head, question, records.subarray(12)]);
}

function optRecord(query: Query, rcode: number): Answer {
  const { dnssecOk, clientSubnet } = query.edns ?? {};
  return {
    name: ".",
    type: "OPT",
    udpPayloadSize: UDP_PAYLOAD_BYTES,
    extendedRcode: rcode >> 4,
    ednsVersion: 0,
    flags: dnssecOk === true ? 0x8000 : 0,
    flag_do: dnssecOk === true,
    options: clientSubnet === undefined ? [] : [{ code: 8, data: clientSubnet }],
  } as Answer;
}
