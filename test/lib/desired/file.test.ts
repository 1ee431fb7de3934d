import * as fc from "fast-check";
import { spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { DesiredParameters } from "../../../lib/desired";
import {
  parseParameters,
  quietParameters,
  readParameters,
  renderParameters,
  writeParameters,
} from "../../../lib/desired";

const QUIET = quietParameters({ onPremSite: "onprem", cloudMembers: 2 });
const BURST: DesiredParameters = {
  burst: true,
  cloud_members: 2,
  weights: { onprem: 60, cloud: 40 },
  image_digest: null,
  reason: "demand 180/s, forecast 240/s against 160/s",
};

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "spillway-desired-"));
  file = join(folder, "desired", "shop.tfvars.json");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("writes a new file, in a new folder, that reads back the same", () => {
  expect(writeParameters(file, { shop: QUIET })).toBe(true);
  expect(readParameters(file)).toEqual({ shop: QUIET });
  expect(readFileSync(file, "utf8")).toBe(`{
  "shop": {
    "burst": false,
    "cloud_members": 2,
    "weights": {
      "onprem": 100
    },
    "image_digest": null,
    "reason": "quiet"
  }
}
`);
});

test("does not touch a file that says so already, however it is laid out", () => {
  writeParameters(file, { shop: QUIET });
  const compact = JSON.stringify({ shop: { ...QUIET, reason: undefined } }).replace(
    "}}",
    `,"reason":"quiet"}}`,
  );
  writeFileSync(file, compact);
  const before = statSync(file).ino;
  expect(writeParameters(file, { shop: QUIET })).toBe(false);
  expect(statSync(file).ino).toBe(before);
  expect(readFileSync(file, "utf8")).toBe(compact);
});

test("keeps other variables to the letter, and their order", () => {
  writeParameters(file, { shop: QUIET });
  writeFileSync(
    file,
    `{"big": 12345678901234567890.10, "shop": ${JSON.stringify(QUIET)}, "note": {"a" :  "\\u00e9", "b":[1,\n  2]}}`,
  );
  writeParameters(file, { shop: BURST });
  const text = readFileSync(file, "utf8");
  expect(text).toContain(`  "big": 12345678901234567890.10,\n  "shop": {`);
  expect(text).toContain(`"note": {"a" :  "\\u00e9", "b":[1,\n  2]}\n}\n`);
  expect(readParameters(file)["shop"]).toEqual(BURST);
});

test("leaves no other file behind, and keeps mode and link", () => {
  const real = join(folder, "real.json");
  writeFileSync(real, "{}\n");
  chmodSync(real, 0o640);
  const link = join(folder, "link.json");
  symlinkSync(real, link);
  writeParameters(link, { shop: QUIET });
  expect(readdirSync(folder).sort()).toEqual(["link.json", "real.json"]);
  expect(statSync(real).mode & 0o777).toBe(0o640);
  expect(readParameters(real)).toEqual({ shop: QUIET });
});

test("refuses to change a file that it cannot read, and leaves it alone", () => {
  const broken = join(folder, "broken.json");
  writeFileSync(broken, "{ oops");
  expect(() => writeParameters(broken, { shop: QUIET })).toThrow(/broken\.json:1:3/);
  expect(readFileSync(broken, "utf8")).toBe("{ oops");
});

test("refuses to write parameters that would not be read back", () => {
  expect(() => writeParameters(file, { shop: { ...BURST, weights: { onprem: 60, cloud: 30 } } })).toThrow(
    /add up to 100, got 90/,
  );
  expect(() => writeParameters(file, { shop: { ...BURST, cloud_members: Number.NaN } })).toThrow(
    /at least 1/,
  );
  expect(existsSync(file)).toBe(false);
});

test("a missing file is an error that says what to do", () => {
  expect(() => readParameters(file)).toThrow(/does not exist .*Create it with the quiet state/);
});

test("a folder in place of the file is an error, for reading and writing", () => {
  expect(() => readParameters(folder)).toThrow(/cannot be read/);
  expect(() => writeParameters(folder, { shop: QUIET })).toThrow(/cannot be read/);
});

test("a reader, or a kill -9 of the writer, sees the old text or the new, never a part", async () => {
  writeParameters(file, { shop: QUIET });
  const module = join(__dirname, "../../../dist/lib/desired");
  const states = JSON.stringify([QUIET, BURST]);
  const program = `const { writeParameters } = require(${JSON.stringify(module)});
    for (let i = 0; ; i++) writeParameters(${JSON.stringify(file)}, { shop: ${states}[i % 2] });`;
  const writer = spawn(process.execPath, ["-e", program], { stdio: "ignore" });
  const gone = new Promise((resolve) => writer.once("exit", resolve));
  const seen = new Set<string>();
  const end = Date.now() + 5_000;
  while (seen.size < 2 && Date.now() < end) {
    for (let i = 0; i < 50; i++) seen.add(readParameters(file)["shop"]!.reason);
    await sleep(1);
  }
  writer.kill("SIGKILL");
  await gone;
  expect([...seen].sort()).toEqual([BURST.reason, QUIET.reason].sort());
  expect([BURST, QUIET]).toContainEqual(readParameters(file)["shop"]);
});

test("what a killed writer left behind goes with a later write, what another writes just now does not", () => {
  writeParameters(file, { shop: QUIET });
  const [old, fresh, foreign] = ["0123456789ab", "ba9876543210", "swp"].map((end) =>
    join(folder, "desired", `.shop.tfvars.json.${end}`),
  );
  for (const each of [old, fresh, foreign]) writeFileSync(each!, "");
  utimesSync(old!, new Date(0), new Date(0));
  utimesSync(foreign!, new Date(0), new Date(0));
  writeParameters(file, { shop: BURST });
  expect([old, fresh, foreign].map((each) => existsSync(each!))).toEqual([false, true, true]);
});

// ------------------------------------------------------------------ properties

const variable = fc.stringMatching(/^[a-z][a-z0-9_]{0,12}$/);
const parameters: fc.Arbitrary<DesiredParameters> = fc.record({
  burst: fc.constant(true),
  cloud_members: fc.integer({ min: 1, max: 10_000 }),
  weights: fc.integer({ min: 1, max: 99 }).map((cloud) => ({ onprem: 100 - cloud, cloud })),
  image_digest: fc.option(fc.stringMatching(/^[0-9a-f]{64}$/).map((hex) => `sha256:${hex}`)),
  reason: fc.string({ unit: "grapheme" }),
});

test("whatever is written is read back the same", () => {
  fc.assert(
    fc.property(fc.dictionary(variable, parameters, { noNullPrototype: true }), (all) => {
      const text = renderParameters(undefined, "f", all);
      expect(parseParameters(text, "f")).toEqual(all);
      expect(renderParameters(text, "f", all)).toBe(text);
    }),
  );
});

test("one decision changes only the lines that say it", () => {
  fc.assert(
    fc.property(parameters, parameters, fc.jsonValue(), (before, after, other) => {
      const old = renderParameters(`${JSON.stringify({ other })}\n`, "f", {
        shop: before,
        untouched: before,
      });
      const now = renderParameters(old, "f", { shop: after });
      const oldLines = old.split("\n");
      const nowLines = now.split("\n");
      expect(nowLines).toHaveLength(oldLines.length);
      const changed = nowLines.filter((line, i) => line !== oldLines[i]);
      const differing = [
        before.cloud_members !== after.cloud_members,
        before.weights["cloud"] !== after.weights["cloud"],
        before.weights["onprem"] !== after.weights["onprem"],
        before.image_digest !== after.image_digest,
        before.reason !== after.reason,
      ].filter(Boolean);
      expect(changed).toHaveLength(differing.length);
    }),
  );
});
