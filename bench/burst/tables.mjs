import { seconds } from "./goals.mjs";

/** Later than that, the load was no longer the load that was asked for. */
const LATE_MS = 100;

export function rowsTable(rows) {
  const head = [
    "case",
    "tool",
    "run",
    "requests",
    "failed",
    "resent",
    "first cloud",
    "balanced",
    "home",
    "share error",
    "p95 quiet",
    "p95 burst",
    "",
  ];
  const lines = rows.map((row) => [
    row.case,
    row.tool,
    `${row.run}`,
    `${row.requests}`,
    `${row.failed}`,
    `${row.resent}`,
    seconds(row.firstCloudMs),
    seconds(row.balancedMs),
    seconds(row.homeMs),
    row.shareErrorPct === undefined ? "" : `${row.shareErrorPct}`,
    `${row.quietP95Ms} ms`,
    `${row.holdP95Ms} ms`,
    row.lateMs > LATE_MS ? "machine too busy for its times to count" : "",
  ]);
  return align([head, ...lines], 2);
}

export function flipTable({ flips, p50Ms, p99Ms, maxMs }) {
  return align(
    [
      ["name server", "flips", "p50", "p99", "max"],
      ["PowerDNS, by its API", `${flips}`, `${p50Ms} ms`, `${p99Ms} ms`, `${maxMs} ms`],
    ],
    1,
  );
}

export function verdict(goals) {
  if (goals.length === 0) return "No goal is about what was measured.";
  const missed = goals.filter(({ met }) => !met).length;
  return [
    ...goals.map(({ text, met }) => `${met ? "met   " : "MISSED"}  ${text}`),
    missed === 0 ? "Every goal that was measured is met." : `${missed} goals missed.`,
  ].join("\n");
}

/** The first columns stand left, the others right. */
function align(lines, left) {
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  const cell = (text, column) =>
    column < left || column === 12 ? text.padEnd(widths[column]) : text.padStart(widths[column]);
  return lines.map((line) => line.map(cell).join("  ").trimEnd()).join("\n");
}
