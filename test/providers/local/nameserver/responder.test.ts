import { decode, encode, type DecodedPacket, type Packet, type Answer } from "dns-packet";
import * as fc from "fast-check";
import type { RecordAnswer, RecordStatus } from "../../../../lib/site/api";
import { Responder } from "../../../../providers/local/nameserver/responder";

function record(name: string, answers: readonly RecordAnswer[], ttlSeconds = 30): RecordStatus {
  return { name, spec: { owner: "test", ttlSeconds, answers }, changedAt: 0, serial: 7 };
}

const SHOP = record("shop.example.test", [
  { site: "onprem", address: "127.0.1.1", weight: 80 },
  { site: "cloud", address: "127.0.2.1", weight: 20 },
]);
const SIX = record("six.example.test", [{ site: "onprem", address: "2001:db8::1", weight: 100 }]);
const ALIAS = record("www.alias.test", [{ site: "cloud", address: "lb.cloud.test", weight: 100 }]);

function responderWith(
  records: readonly RecordStatus[] = [SHOP, SIX, ALIAS],
  random?: () => number,
): Responder {
  const responder = new Responder(random);
  responder.load(records, "127.0.1.1");
  return responder;
}

type Ask = Omit<Partial<Packet>, "type"> & { name?: string; type?: string; class?: string };

function query({ name = "shop.example.test", type = "A", class: klass = "IN", ...packet }: Ask = {}): Buffer {
  const questions = [{ name, type, class: klass }] as unknown as Packet["questions"];
  return encode({ type: "query", id: 4711, flags: 0x0100, questions, ...packet });
}

function ask(responder: Responder, asked: Ask = {}): DecodedPacket & { rcode: string } {
  const answer = responder.respond(query(asked), "udp");
  if (answer === undefined) throw new Error("no answer");
  return decode(answer) as DecodedPacket & { rcode: string };
}

const opt = (extra: object = {}) =>
  ({
    type: "OPT",
    name: ".",
    udpPayloadSize: 4_096,
    extendedRcode: 0,
    ednsVersion: 0,
    flags: 0,
    options: [],
    ...extra,
  }) as unknown as Answer;

const optOf = (answer: DecodedPacket) =>
  answer.additionals?.find((found) => found.type === "OPT") as never as {
    udpPayloadSize: number;
    extendedRcode: number;
    flag_do: boolean;
    options: { code: number; data: Buffer }[];
  };

describe("an answer", () => {
  test("is one address, authoritative, with the record's time to live and no offer to recurse", () => {
    const answer = ask(responderWith());
    expect(answer).toMatchObject({
      id: 4711,
      rcode: "NOERROR",
      flag_aa: true,
      flag_rd: true,
      flag_ra: false,
      flag_tc: false,
    });
    expect(answer.answers).toHaveLength(1);
    expect(answer.answers?.[0]).toMatchObject({ name: "shop.example.test", type: "A", ttl: 30 });
    expect(answer.additionals).toEqual([]);
  });

  test("is chosen by weight, each time anew", () => {
    const responder = responderWith();
    const counts: Record<string, number> = {};
    for (let index = 0; index < 5_000; index += 1) {
      const [found] = ask(responder).answers ?? [];
      const { data } = found as { data: string };
      counts[data] = (counts[data] ?? 0) + 1;
    }
    expect(counts["127.0.1.1"]).toBeGreaterThan(3_850);
    expect(counts["127.0.1.1"]).toBeLessThan(4_150);
    expect(counts["127.0.1.1"] + counts["127.0.2.1"]).toBe(5_000);
  });

  test("splits [0, 1) exactly at the weights", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 6 }),
        fc.nat(9_999),
        (weights, n) => {
          const answers = weights.map((weight, index) => ({
            site: `s${index}`,
            address: `10.0.0.${index}`,
            weight,
          }));
          const answer = ask(
            responderWith([record("w.test", answers)], () => n / 10_000),
            { name: "w.test" },
          );
          const total = weights.reduce((sum, weight) => sum + weight, 0);
          let sum = 0;
          const expected = weights.findIndex((weight) => (n / 10_000) * total < (sum += weight));
          expect(answer.answers?.[0]).toMatchObject({ data: `10.0.0.${expected}` });
        },
      ),
    );
  });

  test("keeps the spelling of the question, letter by letter", () => {
    const answer = ask(responderWith(), { name: "sHoP.ExAmPlE.tEsT" });
    expect(answer.questions?.[0].name).toBe("sHoP.ExAmPlE.tEsT");
    expect(answer.answers?.[0].name).toBe("sHoP.ExAmPlE.tEsT");
  });

  test("has an IPv6 address for AAAA, and an alias for any type", () => {
    expect(ask(responderWith(), { name: "six.example.test", type: "AAAA" }).answers?.[0]).toMatchObject({
      data: "2001:db8::1",
    });
    for (const type of ["A", "AAAA", "CNAME", "MX"]) {
      expect(ask(responderWith(), { name: "www.alias.test", type }).answers).toMatchObject([
        { type: "CNAME", data: "lb.cloud.test", ttl: 30 },
      ]);
    }
  });

  test("to ANY is small", () => {
    expect(ask(responderWith(), { type: "ANY" }).answers).toHaveLength(1);
  });

  test("changes with the records, at once", () => {
    const responder = responderWith();
    ask(responder);
    responder.load(
      [record("shop.example.test", [{ site: "cloud", address: "127.0.2.1", weight: 100 }], 5)],
      undefined,
    );
    for (let index = 0; index < 20; index += 1) {
      expect(ask(responder).answers).toMatchObject([{ data: "127.0.2.1", ttl: 5 }]);
    }
    responder.load([], undefined);
    expect(ask(responder).rcode).toBe("REFUSED");
  });
});

describe("a no", () => {
  test.each([
    ["a type that the name has not", "shop.example.test", "AAAA", "NOERROR", "shop.example.test"],
    ["a type nobody knows", "shop.example.test", "TXT", "NOERROR", "shop.example.test"],
    ["a name below", "a.b.shop.example.test", "A", "NXDOMAIN", "shop.example.test"],
    ["a neighbour of an alias", "other.alias.test", "A", "NXDOMAIN", "alias.test"],
    ["the zone of an alias", "alias.test", "A", "NOERROR", "alias.test"],
  ])("%s: says for how long", (_, name, type, rcode, apex) => {
    const answer = ask(responderWith(), { name, type });
    expect(answer).toMatchObject({ rcode, flag_aa: true, answers: [] });
    expect(answer.authorities).toMatchObject([
      { type: "SOA", name: apex, ttl: 30, data: { mname: `ns.${apex}`, serial: 7, minimum: 30 } },
    ]);
  });

  test("a name with a name of ours below it exists", () => {
    const responder = responderWith([SHOP, record("eu.deep.shop.example.test", SHOP.spec.answers)]);
    expect(ask(responder, { name: "deep.shop.example.test" }).rcode).toBe("NOERROR");
    expect(ask(responder, { name: "eu.deep.shop.example.test" }).answers).toHaveLength(1);
  });

  test.each(["example.test", "test", ".", "xshop.example.test", "other.test", "shop.example.test.evil"])(
    "%s is not ours: refused",
    (name) => {
      expect(ask(responderWith(), { name })).toMatchObject({
        rcode: "REFUSED",
        flag_aa: false,
        answers: [],
        authorities: [],
      });
    },
  );

  test.each([
    ["AXFR", "IN"],
    ["IXFR", "IN"],
    ["A", "CH"],
  ])("%s in class %s is refused", (type, klass) => {
    expect(ask(responderWith(), { type, class: klass }).rcode).toBe("REFUSED");
  });
});

describe("the zone itself", () => {
  test("has a start of authority, a name server, and that one's address", () => {
    expect(ask(responderWith(), { type: "SOA" }).answers).toMatchObject([
      { type: "SOA", data: { serial: 7 } },
    ]);
    const ns = ask(responderWith(), { type: "NS" });
    expect(ns.answers).toMatchObject([{ type: "NS", data: "ns.shop.example.test" }]);
    expect(ns.additionals).toMatchObject([{ name: "ns.shop.example.test", type: "A", data: "127.0.1.1" }]);
    expect(ask(responderWith(), { name: "ns.shop.example.test" }).answers).toMatchObject([
      { data: "127.0.1.1" },
    ]);
  });
});

describe("EDNS", () => {
  test("is answered with EDNS, and only then", () => {
    const answer = ask(responderWith(), { additionals: [opt({ flags: 0x8000 })] });
    expect(answer.answers).toHaveLength(1);
    expect(optOf(answer)).toMatchObject({ udpPayloadSize: 1_232, extendedRcode: 0, flag_do: true });
  });

  test("of another version is BADVERS", () => {
    const answer = ask(responderWith(), { additionals: [opt({ ednsVersion: 1 })] });
    expect([answer.rcode, optOf(answer).extendedRcode, answer.answers?.length]).toEqual(["NOERROR", 1, 0]);
  });

  test("twice is malformed", () => {
    expect(ask(responderWith(), { additionals: [opt(), opt()] }).rcode).toBe("FORMERR");
  });

  test("a client subnet comes back with scope 0, for every network", () => {
    const subnet = { code: 8, data: Buffer.from([0, 1, 24, 0, 192, 0, 2]) };
    const answer = ask(responderWith(), { additionals: [opt({ options: [subnet] })] });
    expect(answer.answers).toHaveLength(1);
    expect(optOf(answer).options).toMatchObject([{ code: 8, data: Buffer.from([0, 1, 24, 0, 192, 0, 2]) }]);
  });

  test.each([
    ["too short", [0, 1, 24]],
    ["too few octets", [0, 1, 24, 0, 192, 0]],
    ["too many octets", [0, 1, 24, 0, 192, 0, 2, 1]],
    ["bits beyond the prefix", [0, 1, 20, 0, 192, 0, 0xff]],
    ["a prefix that is too long", [0, 1, 33, 0, 192, 0, 2, 1, 1]],
    ["a scope in a query", [0, 1, 24, 24, 192, 0, 2]],
    ["an unknown family", [0, 9, 8, 0, 1]],
  ])("a client subnet with %s is malformed", (_, bytes) => {
    const options = [{ code: 8, data: Buffer.from(bytes) }];
    expect(ask(responderWith(), { additionals: [opt({ options })] }).rcode).toBe("FORMERR");
  });

  test("unknown options are no error", () => {
    const options = [{ code: 10, data: Buffer.alloc(8) }];
    expect(ask(responderWith(), { additionals: [opt({ options })] }).answers).toHaveLength(1);
  });
});

describe("size", () => {
  const long = `${"a".repeat(60)}.${"b".repeat(60)}.${"c".repeat(60)}.${"d".repeat(60)}.test`;
  const target = `${"x".repeat(60)}.${"y".repeat(60)}.${"z".repeat(60)}.${"v".repeat(60)}.test`;
  const records = [record(long, [{ site: "a", address: target, weight: 1 }])];

  test("an answer that does not fit is cut, and says so; over TCP it is whole", () => {
    const responder = responderWith(records);
    const cut = ask(responder, { name: long });
    expect([cut.flag_tc, cut.answers?.length]).toEqual([true, 0]);
    const whole = decode(responder.respond(query({ name: long }), "tcp") as Buffer);
    expect([whole.flag_tc, whole.answers?.length]).toEqual([false, 1]);
  });

  test("with EDNS it fits", () => {
    const answer = ask(responderWith(records), { name: long, additionals: [opt()] });
    expect([answer.flag_tc, answer.answers?.length]).toEqual([false, 1]);
  });
});

describe("what is no query", () => {
  const responder = responderWith();

  test("responses and scraps get no answer", () => {
    const response = query();
    response[2] |= 0x80;
    expect(responder.respond(response, "udp")).toBeUndefined();
    for (let length = 0; length < 12; length += 1)
      expect(responder.respond(query().subarray(0, length), "udp")).toBeUndefined();
  });

  test("other operations are not implemented", () => {
    const update = query();
    update[2] = (update[2] & 0x87) | (5 << 3);
    expect(decode(responder.respond(update, "udp") as Buffer)).toMatchObject({
      rcode: "NOTIMP",
      opcode: "UPDATE",
    });
  });

  test("a cut-off question is malformed", () => {
    const whole = query();
    for (let length = 12; length < whole.length; length += 1) {
      const answer = responder.respond(whole.subarray(0, length), "udp") as Buffer;
      expect(answer[3] & 0xf).toBe(1);
      expect(answer.readUInt16BE(0)).toBe(4711);
    }
  });

  test("no question, or two, is malformed", () => {
    expect((responder.respond(encode({ type: "query", id: 1 }), "udp") as Buffer)[3] & 0xf).toBe(1);
    const two = encode({
      type: "query",
      id: 1,
      questions: Array(2).fill({ type: "A", name: "shop.example.test" }),
    });
    expect((responder.respond(two, "udp") as Buffer)[3] & 0xf).toBe(1);
  });

  test("whatever bytes come, it answers small or not at all, and goes on", () => {
    const whole = query({
      additionals: [opt({ options: [{ code: 8, data: Buffer.from([0, 1, 24, 0, 192, 0, 2]) }] })],
    });
    const flips = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 8 });
    const mangled = fc.tuple(flips, fc.nat(whole.length)).map(([changes, length]) => {
      const bytes = Buffer.from(whole);
      for (const [at, value] of changes) bytes[at] = value;
      return bytes.subarray(0, length);
    });
    const anything = fc.uint8Array({ maxLength: 600 }).map((bytes) => Buffer.from(bytes));
    fc.assert(
      fc.property(
        fc.oneof(mangled, anything),
        fc.constantFrom("udp" as const, "tcp" as const),
        (bytes, transport) => {
          const answer = responder.respond(bytes, transport);
          if (answer === undefined) return;
          expect(answer.length).toBeLessThanOrEqual(transport === "udp" ? 1_232 : 65_535);
          expect(answer.readUInt16BE(0)).toBe(bytes.readUInt16BE(0));
          expect(answer[2] & 0x80).toBe(0x80);
          decode(answer);
        },
      ),
      { numRuns: 5_000 },
    );
    expect(ask(responder).answers).toHaveLength(1);
  });
});
