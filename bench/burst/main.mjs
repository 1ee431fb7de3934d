/**
 * A burst out and home under load, by Spillway and by hand-written scripts: `npm run bench:burst`. See README.md beside this file.
 *
 *   --case NAME --tool NAME   only these (may be given more than once)
 *   --runs 3                  runs of each
 *   --no-flip                 without the name server's flips; --flip-only: nothing else
 *   --json                    one object {rows: […], flip} instead of the tables
 *   --keep                    leave each run's folder (logs, hook's events) behind, and say where
 */
import { parseArgs } from "node:util";
import { CASES, TOOLS } from "./cases.mjs";
import { flips } from "./flip.mjs";
import { judge } from "./goals.mjs";
import { runOnce } from "./support/run.mjs";
import { flipTable, rowsTable, verdict } from "./tables.mjs";

const { values } = parseArgs({
  options: {
    case: { type: "string", multiple: true },
    tool: { type: "string", multiple: true },
    runs: { type: "string", default: "3" },
    "no-flip": { type: "boolean", default: false },
    "flip-only": { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    keep: { type: "boolean", default: false },
  },
});

const say = (line) => process.stderr.write(`${line}\n`);

try {
  process.exitCode = await bench();
} catch (problem) {
  say(problem.stack ?? problem.message);
  process.exitCode = 2;
}

async function bench() {
  const rows = [];
  for (const { benchCase, tool, run } of chosenRuns()) {
    say(`${benchCase.name}: ${tool.title}, run ${run} …`);
    // A run of one number meets the same users whatever the tool.
    const row = await runOnce({ benchCase, tool, run, seed: run, keep: values.keep, say });
    rows.push(row);
    say(`  ${JSON.stringify(row)}`);
  }
  const flip = values["no-flip"] ? undefined : await flips();
  const goals = judge(rows, flip);
  if (values.json) process.stdout.write(`${JSON.stringify({ rows, flip })}\n`);
  else {
    const tables = [rows.length > 0 && rowsTable(rows), flip && flipTable(flip), verdict(goals)];
    process.stdout.write(`${tables.filter(Boolean).join("\n\n")}\n`);
  }
  return goals.every(({ met }) => met) ? 0 : 1;
}

/** @throws Error naming what there is, when there is no such case or tool */
function chosenRuns() {
  const all = { case: CASES, tool: TOOLS };
  for (const [kind, known] of Object.entries(all)) {
    const names = known.map(({ name }) => name);
    const unknown = values[kind]?.find((name) => !names.includes(name));
    if (unknown !== undefined)
      throw new Error(`There is no ${kind} "${unknown}". There is: ${names.join(", ")}.`);
  }
  const runs = Number(values.runs);
  if (!Number.isInteger(runs) || runs < 1)
    throw new Error(`--runs must be a whole number of at least 1, got ${values.runs}.`);
  if (values["flip-only"]) return [];
  return CASES.filter(({ name }) => values.case?.includes(name) ?? true).flatMap((benchCase) =>
    TOOLS.filter(({ name }) => values.tool?.includes(name) ?? true).flatMap((tool) =>
      Array.from({ length: runs }, (_, at) => ({ benchCase, tool, run: at + 1 })),
    ),
  );
}
