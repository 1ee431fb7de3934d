import fc from "fast-check";
import { characterStrings, formatMark, readMark, type OwnershipMark } from "../../../providers/dns";

const mark: OwnershipMark = {
  agent: "onprem",
  spec: {
    owner: "shop/Prod",
    ttlSeconds: 30,
    answers: [
      { site: "onprem", address: "192.0.2.1", weight: 80, pool: "onprem/shop" },
      { site: "cloud", address: "2001:db8::1", weight: 20 },
    ],
  },
  changedAt: 1_764_000_000_000,
  serial: 1_764_000_000_001,
};
const text =
  "heritage=spillway,spillway/version=1,spillway/agent=onprem,spillway/owner=shop/Prod,spillway/ttl=30," +
  "spillway/changed=1764000000000,spillway/serial=1764000000001,spillway/answer=onprem|192.0.2.1|80|onprem/shop," +
  "spillway/answer=cloud|2001:db8::1|20";

describe("an ownership mark", () => {
  test("has this format, which other versions must go on reading", () => {
    expect(formatMark(mark)).toBe(text);
    expect(readMark(text, "onprem")).toEqual({ kind: "ours", mark });
    const shifted = { ...mark, shift: { ttlSeconds: 5, raiseAt: 1_764_000_060_000 } };
    expect(formatMark(shifted)).toContain(",spillway/shift=5|1764000060000,");
    expect(readMark(formatMark(shifted), "onprem")).toEqual({ kind: "ours", mark: shifted });
  });

  test("keeps whatever names people choose, in plain characters and strings of 255 bytes", () => {
    const word = fc.oneof(
      fc.string({ minLength: 1 }),
      fc.string({ minLength: 1, unit: "grapheme" }),
      fc.constantFrom(",", "|", "=", '"', "\\", "a'b", "%2C", "ä,ö"),
    );
    const made = fc.record({
      agent: word,
      spec: fc.record({
        owner: word,
        ttlSeconds: fc.nat(),
        answers: fc.array(
          fc.record(
            { site: word, address: word, weight: fc.integer({ min: 1, max: 100 }), pool: word },
            { requiredKeys: ["site", "address", "weight"] },
          ),
          { minLength: 1, maxLength: 6 },
        ),
      }),
      changedAt: fc.nat(),
      serial: fc.nat(),
    });
    fc.assert(
      fc.property(made, (one) => {
        const written = formatMark(one);
        expect(written).toMatch(/^[\w,=|%.:/ -]*$/);
        const strings = characterStrings(written);
        for (const string of strings) expect(string.length).toBeLessThanOrEqual(255);
        expect(readMark(strings.join(""), one.agent)).toEqual({ kind: "ours", mark: one });
      }),
    );
  });

  test("of another installation names it, and of a newer version is left alone", () => {
    expect(readMark(text, "other")).toEqual({ kind: "another", agent: "onprem", owner: "shop/Prod" });
    expect(readMark(text.replace("version=1", "version=2"), "onprem")).toEqual({
      kind: "newer",
      version: "2",
    });
  });

  test("may have more keys, and nothing less", () => {
    expect(readMark(`${text},spillway/later=x,other/key=y`, "onprem")).toEqual({ kind: "ours", mark });
    const parts = text.split(",");
    const needed = parts.filter((part) => !part.startsWith("spillway/answer"));
    for (const part of needed) {
      const less = parts.filter((one) => one !== part).join(",");
      expect([part, readMark(less, "onprem").kind]).toEqual([part, "foreign"]);
    }
    for (const other of [
      "",
      "v=spf1 -all",
      "heritage=external-dns,external-dns/owner=x",
      `${text},spillway/agent=twice`,
      "heritage=spillway",
    ])
      expect(readMark(other, "onprem").kind).toBe("foreign");
  });

  test("is never read from broken text without being whole", () => {
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.string({ minLength: 1, maxLength: 1 }), (at, put) => {
        const broken = text.slice(0, at) + put + text.slice(at + 1);
        const reading = readMark(broken, "onprem");
        if (reading.kind === "ours") expect(readMark(formatMark(reading.mark), "onprem")).toEqual(reading);
      }),
    );
  });
});
