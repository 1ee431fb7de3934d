import { execFile, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { bytesOf, writeOld } from "../lib/image/support/images";
import { spillway } from "./support/spillway";

const MAIN = join(__dirname, "..", "..", "dist", "cli", "main.js");
const IS_THERE = /util-linux/.test(spawnSync("script", ["--version"], { encoding: "utf8" }).stdout ?? "");
/** Where util-linux's `script`, which lends a terminal, is missing these tests are left out, but not in CI. */
const describeWithTerminal = IS_THERE || process.env.CI ? describe : describe.skip;
const BAR = /\r\x1b\[K\[#*-*\] +\d+ % {2}ETA [^\r]*/;

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "spillway-terminal-"));
  writeOld(join(dir, "v1.raw"), bytesOf(31, 12_000_000));
  writeOld(join(dir, "v2.raw"), bytesOf(32, 12_000_000));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const env = () => ({ XDG_CACHE_HOME: join(dir, "cache"), XDG_CONFIG_HOME: join(dir, "config") });

/** All that a command writes to a terminal. */
async function onTerminal(...args: string[]): Promise<string> {
  const command = [process.execPath, MAIN, "image", ...args].map((word) => `'${word}'`).join(" ");
  const options = { cwd: dir, env: { ...process.env, ...env() } };
  const { stdout } = await promisify(execFile)("script", ["-qec", command, "/dev/null"], options);
  return stdout;
}

const VERBS: readonly (readonly [string, readonly string[], RegExp])[] = [
  ["index", ["index", "v1.raw"], /\r\x1b\[Ksha256:/],
  ["diff", ["diff", "v1.raw", "v2.raw"], /\r\x1b\[KOFFSET/],
  ["push", ["push", "v1.raw", "store", "--cap", "16Mbit", "--streams", "2"], /\r\x1b\[Ksha256:/],
];

describeWithTerminal("on a terminal", () => {
  test.each(VERBS)(
    "%s shows a bar with ETA, which is gone before the result",
    async (verb, args, result) => {
      const text = await onTerminal(...args);
      expect(text).toMatch(BAR);
      expect(text).toMatch(result);
      expect(text.slice(text.search(result) + 4)).not.toMatch(BAR);
      if (verb !== "push") return;
      const shares = [...text.matchAll(/\] +(\d+) %/g)].map(([, share]) => Number(share));
      expect(shares.length).toBeGreaterThan(2);
      expect(shares).toEqual([...shares].sort((a, b) => a - b));
    },
    40_000,
  );
});

describe("elsewhere", () => {
  test("index, diff and push say in lines how far they are, and when they will be done", async () => {
    // One after the other: what one has read is known to the next, which says nothing of it.
    for (const [, args] of VERBS) {
      const { code, stderr } = await spillway(["image", ...args], { cwd: dir, env: env() });
      expect(code).toBe(0);
      expect(stderr).toMatch(/^\d+ %: .* of 12\.0 MB.* {2}ETA \d.*\n/m);
      expect(stderr).not.toMatch(/(?!\n)\p{Cc}/u);
    }
  }, 40_000);
});
