import * as fc from "fast-check";
import { SpillwayError } from "../../../../lib/errors";
import { formatCap, parseCap, tryParseCap } from "../../../../lib/image/bandwidth";

test.each([
  ["20Mbit", 20e6],
  ["1.5 Mbit/s", 1.5e6],
  ["2MB/s", 16e6],
  ["2 MB", 16e6],
  ["2Mb/s", 2e6],
  ["100Mbps", 100e6],
  ["100MBps", 800e6],
  ["800kbit/s", 800e3],
  ["512KiB/s", 512 * 1024 * 8],
  ["1 Gbit", 1e9],
  ["64000 bit/s", 64_000],
  ["3 mbytes/s", 24e6],
])("%s is %d bits per second", (text, bps) => {
  expect(parseCap(text, "here")).toBe(bps);
});

test("off stops, unlimited and none have no limit", () => {
  expect(parseCap("off", "here")).toBe("off");
  expect(parseCap(" Unlimited ", "here")).toBe("none");
  expect(parseCap("none", "here")).toBe("none");
});

test("a rate without a unit is refused, and both readings are offered", () => {
  expect(() => parseCap("20M", "--cap")).toThrow(
    'the rate "20M" does not say whether it counts bits or bytes (at --cap). Write 20Mbit for bits per second, or 20MB for bytes.',
  );
  expect(() => parseCap("5000000", "--cap")).toThrow(/5000000bit .* 5000000B/);
});

test.each([
  "",
  "fast",
  "-2Mbit",
  "1,5 Mbit",
  "20 Mbit/h",
  "Mbit",
  "1e6bit",
  "20ibit",
  "0Mbit",
  "5 bit",
  "9000 Gbit",
])("%j is refused with the value and a mend", (text) => {
  const parsed = tryParseCap(text);
  if (!("problem" in parsed)) throw new Error(`taken for ${parsed.cap}`);
  expect(parsed.problem.problem).toContain(JSON.stringify(text));
  expect(parsed.problem.mend).toMatch(/off/);
  expect(() => parseCap(text, "here")).toThrow(SpillwayError);
});

test("what is written is read back as the same", () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.integer({ min: 1_000, max: 1e12 }), fc.constantFrom("none" as const, "off" as const)),
      (cap) => expect(parseCap(formatCap(cap), "here")).toBe(cap),
    ),
  );
});

test("no text at all makes it throw anything but its own error", () => {
  fc.assert(fc.property(fc.string({ maxLength: 12 }), (text) => void tryParseCap(text)));
});
