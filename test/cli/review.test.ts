import { readFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spillway } from "./support/spillway";

const FIXTURES = join(__dirname, "..", "lib", "review", "cost", "fixtures");
const OUT = join(FIXTURES, "out.json");
const SAME = join(FIXTURES, "same.json");
const MAIN = join(__dirname, "..", "..", "dist", "cli", "main.js");

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "spillway-review-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, content: object | string): string {
  const file = join(folder, name);
  writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content));
  return file;
}

test("a plan is told as Markdown, with what it costs by the built-in prices", async () => {
  const { code, stdout, stderr } = await spillway(["review", OUT]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout.split("\n")[0]).toMatch(
    /^\*\*4 created; at most \$0\.40 an hour more, \$292 if it lasted a month/,
  );
  expect(stdout).toContain("### Cost");
});

test("a plan comes in on standard input, named or not", () => {
  const input = readFileSync(OUT, "utf8");
  const read = (...args: string[]) =>
    spawnSync(process.execPath, [MAIN, "review", ...args, "--no-cost"], { input, encoding: "utf8" });
  const [named, unnamed] = [read("-"), read()];
  expect(named.stdout).toMatch(/^\*\*4 created; 7 changed outside Terraform\.\*\*\n/);
  expect(named.stdout).not.toContain("Cost");
  expect(unnamed.stdout).toBe(named.stdout);
});

test("--detailed-exitcode tells a plan that changes something from one that changes nothing", async () => {
  const codes = await Promise.all(
    [OUT, SAME].map(async (plan) => (await spillway(["review", plan, "--detailed-exitcode"])).code),
  );
  expect(codes).toEqual([2, 0]);
});

test("--json has changes and cost, line by line, with the headline", async () => {
  const { code, stdout } = await spillway(["review", OUT, "--json"]);
  expect(code).toBe(0);
  const found = JSON.parse(stdout) as { changes: object[]; cost: { lines: object[] } };
  expect(found).toMatchObject({
    ok: true,
    summary: "4 created",
    cost: {
      headline: "at most $0.40 an hour more, $292 if it lasted a month",
      currency: "USD",
      unknowns: [],
    },
  });
  expect(found.changes).toContainEqual({
    address: "aws_autoscaling_group.pool[0]",
    type: "aws_autoscaling_group",
    action: "create",
    forcedBy: [],
  });
  expect(found.cost.lines).toContainEqual(
    expect.objectContaining({
      item: "instance m6i.large",
      region: "eu-central-1",
      unitPrice: 0.115,
      after: { quantity: 2, hour: 0.23 },
      from: expect.objectContaining({ name: "built in", date: "2026-01-19" }) as object,
    }),
  );
});

test("prices of one's own win; a table with mistakes is refused with all of them", async () => {
  const head = { format: 1, date: "2026-10-01", currency: "USD" };
  const mine = write("mine.json", {
    ...head,
    regions: { "eu-central-1": { instances: { "m6i.large": 100 } } },
  });
  const { stdout } = await spillway(["review", OUT, "--prices", mine]);
  expect(stdout).toMatch(/^\*\*4 created; at most \$300 an hour more/);
  const bad = write("bad.json", { ...head, currency: "usd", region: {} });
  const refused = await spillway(["review", OUT, "--prices", bad, "--json"]);
  expect(refused.code).toBe(1);
  expect(JSON.parse(refused.stdout)).toMatchObject({
    ok: false,
    errors: [{ place: `${bad} $.currency` }, { place: `${bad} $.region` }],
  });
});

test.each<[string, string[], RegExp]>([
  ["a plan that is not there", ["/no/such/plan"], /the plan cannot be read: ENOENT/],
  ["a plan file that is not JSON", [__filename], /this is not the JSON of a Terraform plan/],
  [
    "a price table that is not there",
    [OUT, "--prices", "/no/such/table"],
    /the price table cannot be read: ENOENT/,
  ],
])("%s is refused, with what to do", async (_, args, problem) => {
  const { code, stdout, stderr } = await spillway(["review", ...args]);
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toMatch(problem);
  expect(stderr).toMatch(/ {2}mend: /);
});
