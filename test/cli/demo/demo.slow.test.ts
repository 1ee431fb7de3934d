import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sleep } from "../../../lib/wait";
import { contentOf, onlyJson, processesAbout, refusal, spillway, startSpillway } from "../support/spillway";

interface DemoJson {
  readonly requests: number;
  readonly failed: number;
  readonly sessionsAtTakeDown: number;
  readonly imageBytes: number;
  readonly imageBytesSent: number;
  readonly phases: readonly { readonly name: string; readonly startMs: number; readonly endMs: number }[];
  readonly applies: number;
  readonly decisions: readonly {
    readonly atMs: number;
    readonly action: string;
    readonly reason: string;
    readonly weights: Readonly<Record<string, number>>;
    readonly members: number;
  }[];
}

const PHASES = ["transfer", "launch", "admit", "shift", "burst", "drain", "take-down"];

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "spillway-demos-"));
  mkdirSync(join(dir, "tmp"));
});
afterEach(() => {
  expect(processesAbout(dir)).toEqual([]);
  rmSync(dir, { recursive: true, force: true });
});

/** All that a demo writes, but for its report, would be found in `dir`. */
function options() {
  return {
    cwd: dir,
    env: { TMPDIR: join(dir, "tmp"), XDG_CACHE_HOME: join(dir, "tmp", "cache"), HOME: join(dir, "tmp") },
  };
}

/** The tokens that the demo's lab is locked with, as soon as it has them. */
async function tokensOfLab(): Promise<string[]> {
  for (const deadline = Date.now() + 30_000; Date.now() < deadline; await sleep(50)) {
    const names = readdirSync(join(dir, "tmp"), { recursive: true }) as string[];
    const tokens = names
      .filter((name) => name.endsWith(".token"))
      .map((name) => readFileSync(join(dir, "tmp", name), "utf8").trim())
      .filter((token) => token.length >= 16);
    if (tokens.length === 2) return tokens;
  }
  throw new Error("the demo's lab has no tokens after 30 s");
}

function expectNothingLeft(files: readonly string[] = []): void {
  expect(processesAbout(dir)).toEqual([]);
  expect(Object.keys(contentOf(dir)).sort()).toEqual(["tmp", ...files].sort());
}

test.each(["first", "second", "third"])(
  "the %s run in a row: out and home again, nobody failed, within two minutes, and nothing is left",
  async () => {
    const startedAt = Date.now();
    const command = startSpillway(["demo", "--json"], options());
    const tokens = await tokensOfLab();
    const ended = await command.ended;
    expect(Date.now() - startedAt).toBeLessThan(120_000);
    expect({ code: ended.code, failures: ended.stderr.match(/^.*\bfailed {2}.*$/gm) }).toEqual({
      code: 0,
      failures: null,
    });
    const demo = onlyJson(ended) as unknown as DemoJson;

    expect(demo.failed).toBe(0);
    expect(demo.sessionsAtTakeDown).toBe(0);
    expect(demo.requests).toBeGreaterThan(10_000);
    expect(demo.imageBytes).toBeGreaterThan(40_000_000);
    expect(demo.imageBytesSent).toBeGreaterThan(1_000_000);
    expect(demo.imageBytesSent).toBeLessThan(demo.imageBytes);
    expect(demo.applies).toBeGreaterThanOrEqual(3);

    expect(demo.phases.map(({ name }) => name)).toEqual(PHASES);
    demo.phases.forEach(({ name, startMs, endMs }, index) => {
      expect({ name, lasts: endMs > startMs }).toEqual({ name, lasts: true });
      expect({ name, follows: startMs >= (demo.phases[index - 1]?.endMs ?? 0) }).toEqual({
        name,
        follows: true,
      });
    });
    const lasted = Object.fromEntries(demo.phases.map(({ name, startMs, endMs }) => [name, endMs - startMs]));
    // Half of 48 MB and more at 100 Mbit/s; a quiet period of 3 s after answers of 5 s; the peak is 18 s of the replay.
    expect(lasted.transfer).toBeGreaterThan(1_000);
    expect(lasted.transfer).toBeLessThan(20_000);
    expect(lasted.shift).toBeGreaterThanOrEqual(5_000);
    expect(lasted.burst).toBeGreaterThan(15_000);
    expect(lasted.drain).toBeGreaterThanOrEqual(8_000);
    expect(demo.phases.at(-1)!.endMs).toBeLessThan(115_000);

    const { decisions } = demo;
    expect(decisions[0]).toMatchObject({ action: "burst" });
    expect(decisions.at(-1)).toMatchObject({ action: "home", members: 0, weights: { onprem: 100 } });
    for (const { reason, weights } of decisions) {
      expect(reason).toMatch(/demand \d+ rps, forecast \d+ rps in .*, on-premises capacity \d+ rps/);
      expect(Object.values(weights).reduce((sum, weight) => sum + weight, 0)).toBe(100);
    }
    expect(decisions[0]!.atMs).toBeLessThanOrEqual(demo.phases[0]!.startMs);

    const report = readFileSync(join(dir, "spillway-report.html"), "utf8");
    expect(report).toMatch(/^<!doctype html>/i);
    expect(report).not.toMatch(/\b(src|href|srcset|action|data|poster)\s*=\s*["']?\s*(https?:)?\/\//i);
    expect(report).not.toMatch(
      /@import|url\(\s*["']?(https?:)?\/\/|<script[^>]+src|<link\b|\bfetch\(|XMLHttpRequest/i,
    );
    for (const name of PHASES) expect(report).toContain(name);
    for (const { reason } of decisions) {
      expect(report).toContain(
        reason.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;"),
      );
    }
    for (const token of tokens)
      expect([ended.stdout, ended.stderr, report].join().includes(token)).toBe(false);
    expectNothingLeft(["spillway-report.html"]);
  },
  150_000,
);

test.each<[string, RegExp]>([
  ["in the first apply", /by hand .*(terraform|tofu) apply/],
  ["while users come", /users {2}/],
  ["in the transfer", /transfer {2}/],
  ["in the burst", /record changed: .*cloud \d/],
])(
  "Ctrl-C %s ends all of it, Terraform too, and leaves nothing",
  async (_, moment) => {
    const demo = startSpillway(["demo", "--json"], { ...options(), ownGroup: true });
    const deadline = Date.now() + 90_000;
    while (!moment.test(demo.stderr())) {
      if (Date.now() > deadline || demo.child.exitCode !== null)
        throw new Error(demo.stdout() + demo.stderr());
      await sleep(20);
    }
    // As a terminal does: to the command and all that it started in its group.
    process.kill(-demo.child.pid!, "SIGINT");
    const ended = await demo.ended;
    expect(ended.code).toBe(130);
    expect(onlyJson(ended)).toEqual({ ok: false, errors: [{ place: "", problem: "stopped", mend: "" }] });
    expectNothingLeft();
  },
  120_000,
);

test("--keep keeps the lab's folder with its logs, and says where; nothing runs in it", async () => {
  const demo = startSpillway(["demo", "--json", "--keep"], options());
  const deadline = Date.now() + 60_000;
  while (!/users {2}/.test(demo.stderr())) {
    if (Date.now() > deadline) throw new Error(demo.stderr());
    await sleep(20);
  }
  const { stderr } = await demo.stop("SIGINT");
  const kept = /^kept: (.*)$/m.exec(stderr)?.[1] ?? "";
  expect(readdirSync(join(dir, "tmp"))).toEqual([kept.split("/").at(-1)]);
  expect(existsSync(join(kept, ".spillway", "cloud.log"))).toBe(true);
  expect(processesAbout(dir)).toEqual([]);
}, 90_000);

describe("refused before anything is begun", () => {
  test.each<[string, string[], Record<string, string>, object]>([
    [
      "no Terraform",
      [],
      { PATH: "/nonexistent" },
      refusal(expect.stringContaining("neither `terraform` nor `tofu`"), "PATH"),
    ],
    [
      "a report that cannot be written",
      ["--report", "no/such/folder/report.html"],
      {},
      refusal(
        expect.stringContaining("cannot be written"),
        expect.stringContaining("no/such/folder/report.html"),
      ),
    ],
    ["a report in place of a folder", ["--report", "tmp"], {}, refusal("the report would replace a folder")],
  ])("%s", async (_, args, env, expected) => {
    const base = options();
    const ended = await spillway(["demo", "--json", ...args], { ...base, env: { ...base.env, ...env } });
    expect(ended.code).toBe(1);
    expect(onlyJson(ended)).toEqual(expected);
    expectNothingLeft();
  });
});
