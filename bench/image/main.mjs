/**
 * Images over a WAN, Spillway's and others' way, on one machine: `npm run bench:image`. See README.md beside this file.
 *
 *   --case NAME --tool NAME   only these (may be given more than once)
 *   --json                    one object {rows: […]} instead of the table
 *   --rate 100M --delay 25    the link: bit/s each way, ms one way
 *   --loss PERCENT            instead of each case's own
 *   --corpus DIRECTORY        where the disk images are kept
 *   --work DIRECTORY          where the far side's copies go; 8 GB. Default: the directory for temporary files
 */
import { spawnSync } from "node:child_process";
import { existsSync, renameSync } from "node:fs";
import { tmpdir } from "node:os";
import { parseArgs } from "node:util";
import { CASES } from "./cases.mjs";
import { corpusTable } from "./corpus.mjs";
import { judge, mb, percent } from "./goals.mjs";
import { requireTools } from "./support/host.mjs";
import { measure } from "./support/measure.mjs";
import { prepareStage } from "./support/stage.mjs";

const { values } = parseArgs({
  options: {
    case: { type: "string", multiple: true },
    tool: { type: "string", multiple: true },
    json: { type: "boolean", default: false },
    rate: { type: "string", default: "100M" },
    delay: { type: "string", default: "25" },
    loss: { type: "string" },
    corpus: { type: "string" },
    work: { type: "string", default: tmpdir() },
  },
});

/** A link that was late by more is no longer the link that was asked for. */
const LATE_MS = 20;

const say = (line) => process.stderr.write(`${line}\n`);

try {
  process.exitCode = await bench();
} catch (problem) {
  say(problem.message);
  process.exitCode = 2;
}

async function bench() {
  const runs = chosenRuns();
  requireTools([...new Set(runs.flatMap(({ tool }) => tool.requires))]);
  const prepared = await prepareStage(values);
  const stage = { ...prepared, trimmed: () => trimmed(prepared.corpus.second) };
  const rows = [];
  let broken = 0;
  for (const { benchCase, tool } of runs) {
    say(`${benchCase.name}: ${tool.title} …`);
    try {
      const row = await measure(stage, benchCase, tool);
      rows.push(row);
      say(`  ${mb(row.upBytes)} MB, ${row.wallS} s${row.verified ? "" : `, not verified ${row.note ?? ""}`}`);
    } catch (problem) {
      // One that could not be measured costs nobody else's row.
      broken++;
      say(`  not measured: ${problem.message}`);
    }
  }
  const goals = judge(rows);
  if (values.json) process.stdout.write(`${JSON.stringify({ rows })}\n`);
  else
    process.stdout.write(`${corpusTable(prepared.corpus.images)}\n\n${table(rows)}\n\n${verdict(goals)}\n`);
  if (broken > 0) return 2;
  return goals.every(({ met }) => met) ? 0 : 1;
}

/** @throws Error naming what there is, when there is no such case or tool */
function chosenRuns() {
  const lossPercent = values.loss === undefined ? undefined : Number(values.loss);
  const all = CASES.flatMap((benchCase) => {
    const line = lossPercent === undefined ? benchCase : { ...benchCase, lossPercent };
    return benchCase.tools.map((tool) => ({ benchCase: line, tool }));
  });
  const names = { case: CASES.map(({ name }) => name), tool: [...new Set(all.map(({ tool }) => tool.name))] };
  for (const kind of ["case", "tool"]) {
    const unknown = values[kind]?.find((name) => !names[kind].includes(name));
    if (unknown !== undefined)
      throw new Error(`There is no ${kind} "${unknown}". There is: ${names[kind].join(", ")}.`);
  }
  return all.filter(
    ({ benchCase, tool }) =>
      (values.case?.includes(benchCase.name) ?? true) && (values.tool?.includes(tool.name) ?? true),
  );
}

/** The image without its free blocks, kept beside it; made by e2fsprogs, as a careful user would. */
async function trimmed(image) {
  const path = image.replace(/\.raw$/, ".trimmed.raw");
  if (existsSync(path)) return path;
  const draft = `${path}.${process.pid}`;
  const made = spawnSync("e2image", ["-ra", image, draft], {
    encoding: "utf8",
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
  });
  if (made.status !== 0) throw new Error(`e2image: ${made.stderr}`);
  renameSync(draft, path);
  return path;
}

function table(rows) {
  const head = ["case", "tool", "up MB", "wall s", "CPU s", "near MB", "far MB", "link busy", "verified", ""];
  const lines = rows.map((row) => [
    row.case,
    row.tool,
    mb(row.upBytes).toFixed(1),
    row.done ? row.wallS.toFixed(1) : "not done",
    row.cpuS.toFixed(1),
    `${row.rssMb}`,
    `${row.farRssMb}`,
    percent(row.linkBusy),
    row.verified ? "yes" : "no",
    [row.emulatorLateMs > LATE_MS && "machine too busy for its time to count", row.note]
      .filter(Boolean)
      .join("; "),
  ]);
  const widths = head.map((_, column) => Math.max(...[head, ...lines].map((line) => line[column].length)));
  const text = (line) =>
    line
      .map((cell, column) =>
        column < 2 || column === 9 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]),
      )
      .join("  ")
      .trimEnd();
  return [head, ...lines].map(text).join("\n");
}

function verdict(goals) {
  const lines = goals.map(({ text, met }) => `${met ? "met   " : "MISSED"}  ${text}`);
  const missed = goals.filter(({ met }) => !met).length;
  if (goals.length === 0) return "No goal is about what was measured.";
  return [...lines, missed === 0 ? "Every goal that was measured is met." : `${missed} goals missed.`].join(
    "\n",
  );
}
