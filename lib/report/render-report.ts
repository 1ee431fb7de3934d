import { formatBytes, formatDuration } from "../duration";
import { renderChart, type Series, type TimeFrame } from "./chart";
import { escapeText, formatClock, formatNumber, table, tableRow } from "./markup";
import { renderPhaseChart } from "./phase-chart";
import { outcomeOf, type BySite, type RunRecord, type RunSample } from "./run-record";
import { STYLE } from "./style";

/** Colours there are for sites; more sites than that share them. */
const SITE_TONES = 6;

/**
 * A finished run as one HTML page: self-contained, readable without scripts, on screen (light and dark) and on paper. Pure.
 */
export function renderReport(record: RunRecord): string {
  const frame: TimeFrame = {
    durationMs: Math.max(1, record.durationMs),
    phases: record.phases,
    decisions: record.decisions,
  };
  const began = new Date(record.startedAt).toISOString().slice(0, 19).replace("T", " ");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>${escapeText(record.title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<header>
<h1>${escapeText(record.title)}</h1>
${record.subtitle === undefined ? "" : `<p>${escapeText(record.subtitle)}</p>`}
<p class="soft">Began ${began} UTC, took ${formatDuration(record.durationMs)}.</p>
${renderVerdict(record)}
${renderTiles(record)}
</header>
<section aria-label="Charts">
${renderPhaseChart(frame, record.applies)}
${renderCharts(record, frame)}
</section>
<h2>Decisions</h2>
${renderDecisions(record)}
<h2>Applies</h2>
${renderApplies(record)}
<h2>Phases</h2>
${renderPhases(record)}
${renderNotes(record.notes ?? [])}
${renderFigures(record)}
<footer>Written by Spillway. Time runs from the start of the run; rates are per second.</footer>
</main>
</body>
</html>
`;
}

function renderVerdict({ totals }: RunRecord): string {
  if (totals.requests === 0) return `<p class="verdict bad">No request was made: this run shows nothing.</p>`;
  const clean = totals.failed === 0 && totals.sessionsAtTakeDown === 0;
  const failed =
    totals.failed === 0
      ? `None of ${formatNumber(totals.requests)} requests failed`
      : `${formatNumber(totals.failed)} of ${formatNumber(totals.requests)} requests failed`;
  const users =
    totals.sessionsAtTakeDown === 0
      ? "no user was left at the cloud site when it was taken down"
      : `${formatNumber(totals.sessionsAtTakeDown)} users were still at the cloud site when it was taken down`;
  return `<p class="verdict${clean ? "" : " bad"}">${failed}; ${users}.</p>`;
}

function renderTiles({ totals, applies, decisions }: RunRecord): string {
  const saved = totals.imageBytes > 0 ? 1 - totals.imageBytesSent / totals.imageBytes : 0;
  const ended = (outcome: string) => applies.filter((apply) => outcomeOf(apply) === outcome).length;
  const stopped = ended("stopped") > 0 ? [`${ended("stopped")} stopped`] : [];
  const failed = ended("failed") > 0 ? [`${ended("failed")} failed`] : [];
  const trouble = [...stopped, ...failed].join(", ");
  const judge = (count: number) => (count === 0 ? "good" : "bad");
  const tiles = [
    tile("Requests", formatNumber(totals.requests)),
    tile("Failed", formatNumber(totals.failed), "no answer, 5xx, or timed out", judge(totals.failed)),
    tile("Retried", formatNumber(totals.retried), "kept connection closed before an answer"),
    tile(
      "Users at take-down",
      formatNumber(totals.sessionsAtTakeDown),
      "at the cloud site",
      judge(totals.sessionsAtTakeDown),
    ),
    tile(
      "Image sent",
      formatBytes(totals.imageBytesSent),
      `of ${formatBytes(totals.imageBytes)}${saved > 0 ? `, ${formatNumber(saved * 100)} % not sent` : ""}`,
    ),
    tile(
      "Applies",
      formatNumber(applies.length),
      `${trouble === "" ? "all succeeded" : trouble}, ${formatNumber(decisions.length)} ${decisions.length === 1 ? "decision" : "decisions"}`,
      failed.length === 0 ? "" : "bad",
    ),
  ];
  if (totals.latencyMs) {
    const { p50, p95, p99 } = totals.latencyMs;
    tiles.push(
      tile(
        "Latency, median",
        `${formatNumber(p50)} ms`,
        `p95 ${formatNumber(p95)} ms, p99 ${formatNumber(p99)} ms`,
      ),
    );
  }
  return `<dl class="tiles">${tiles.join("")}</dl>`;
}

function tile(name: string, value: string, more = "", tone = ""): string {
  const small = more === "" ? "" : `<span class="more">${escapeText(more)}</span>`;
  return `<div class="tile"><dt>${escapeText(name)}</dt><dd${tone === "" ? "" : ` class="${tone}"`}>${escapeText(value)}${small}</dd></div>`;
}

function renderCharts(record: RunRecord, frame: TimeFrame): string {
  const { samples, sites } = record;
  const line = (name: string, tone: string, value: (sample: RunSample) => number): Series => ({
    name,
    tone,
    as: "line",
    shape: "straight",
    points: samples.map((sample) => ({ atMs: sample.atMs, value: value(sample) })),
  });
  const bySite = (
    read: (sample: RunSample) => BySite,
    as: Series["as"],
    shape: Series["shape"],
    suffix = "",
  ): readonly Series[] =>
    sites.map((site, index) => ({
      name: `${site}${suffix}`,
      tone: `site-${index % SITE_TONES}`,
      as,
      shape,
      points: samples.map((sample) => ({ atMs: sample.atMs, value: read(sample)[site] ?? 0 })),
    }));
  const demand = line("demand", "demand", (sample) => sample.offeredRps);
  const peak = samples.reduce((most, sample) => Math.max(most, sample.offeredRps), 0);
  const charts = [
    renderChart(frame, {
      id: "demand",
      title: "Demand and capacity",
      unit: "requests/s",
      description: `Demand peaks at ${formatNumber(peak)} requests per second. Capacity of the members that are up, stacked by site: ${sites.join(", ")}.`,
      heightPx: 220,
      series: [...bySite((sample) => sample.capacityRps, "area", "steps", " capacity"), demand],
    }),
    renderChart(frame, {
      id: "served",
      title: "Good answers",
      unit: "requests/s",
      description: `Good answers by the site that made them, stacked: ${sites.join(", ")}.`,
      heightPx: 130,
      about: 3,
      series: [
        ...bySite((sample) => sample.servedRps, "area", "straight"),
        ...(record.totals.failed > 0 ? [line("failed", "failed", (sample) => sample.failedRps ?? 0)] : []),
      ],
    }),
    renderChart(frame, {
      id: "weights",
      title: "Weights of the record",
      unit: "% of answers",
      description: `Share of name server answers for each site over time: ${sites.join(", ")}.`,
      heightPx: 90,
      top: 100,
      about: 2,
      series: bySite((sample) => sample.weights, "area", "steps"),
    }),
    renderChart(frame, {
      id: "sessions",
      title: "Users at each site",
      unit: "sessions seen by its balancer",
      description: `Sessions at each site over time: ${sites.join(", ")}.`,
      heightPx: 130,
      about: 3,
      series: bySite((sample) => sample.sessions, "line", "steps"),
    }),
  ];
  if (samples.some((sample) => sample.latencyMs !== undefined)) {
    charts.push(
      renderChart(frame, {
        id: "latency",
        title: "Latency of good answers",
        unit: "ms, as users saw it",
        description: "Median and 95th percentile of the time to a whole answer.",
        heightPx: 130,
        about: 3,
        series: [
          line("p50", "p50", (sample) => sample.latencyMs?.p50 ?? 0),
          line("p95", "p95", (sample) => sample.latencyMs?.p95 ?? 0),
        ],
      }),
    );
  }
  return charts.join("\n");
}

function renderDecisions({ decisions, sites }: RunRecord): string {
  if (decisions.length === 0) return `<p class="soft">None was made.</p>`;
  const rows = decisions.map((decision, index) =>
    tableRow(
      [
        String(index + 1),
        formatClock(decision.atMs),
        escapeText(decision.action),
        formatNumber(decision.members),
        `<span class="weights">${escapeText(formatWeights(decision.weights, sites))}</span>`,
        `<div class="reason">${escapeText(decision.reason)}</div>`,
      ],
      new Set([0, 1, 3]),
    ),
  );
  return table(
    "Decisions of the hook with their reasons",
    ["#", "At", "Action", "Cloud members", "Weights", "Reason"],
    rows,
    new Set([0, 1, 3]),
  );
}

const OUTCOME_TONES = { succeeded: "good", stopped: "soft", failed: "bad" } as const;

function renderApplies({ applies }: RunRecord): string {
  if (applies.length === 0) return `<p class="soft">None was run.</p>`;
  const rows = applies.map((apply, index) =>
    tableRow(
      [
        String(index + 1),
        formatClock(apply.startMs),
        formatDuration(Math.max(0, apply.endMs - apply.startMs)),
        `<span class="${OUTCOME_TONES[outcomeOf(apply)]}">${outcomeOf(apply)}</span>`,
        escapeText(apply.summary),
      ],
      new Set([0, 1, 2]),
    ),
  );
  return table("Terraform applies", ["#", "Began", "Took", "Result", "Summary"], rows, new Set([0, 1, 2]));
}

function renderPhases({ phases }: RunRecord): string {
  if (phases.length === 0) return `<p class="soft">None was seen.</p>`;
  const rows = phases.map((phase) =>
    tableRow(
      [
        escapeText(phase.name),
        formatClock(phase.startMs),
        formatClock(phase.endMs),
        formatDuration(Math.max(0, phase.endMs - phase.startMs)),
      ],
      new Set([1, 2, 3]),
    ),
  );
  return table("Phases of the burst", ["Phase", "Began", "Ended", "Took"], rows, new Set([1, 2, 3]), true);
}

function renderNotes(notes: readonly string[]): string {
  if (notes.length === 0) return "";
  return `<h2>Notes</h2><ul>${notes.map((note) => `<li>${escapeText(note)}</li>`).join("")}</ul>`;
}

/** The charts' figures as a table, a row a second: for those who cannot see the charts or want the numbers. */
function renderFigures({ samples, sites }: RunRecord): string {
  if (samples.length === 0) return "";
  const perSecond = samples.filter(
    (sample, index) =>
      index === 0 || Math.floor(sample.atMs / 1_000) !== Math.floor(samples[index - 1].atMs / 1_000),
  );
  const heads = ["At", "Demand"];
  for (const site of sites)
    heads.push(`${site} capacity`, `${site} served`, `${site} weight`, `${site} users`);
  heads.push("p50 ms", "p95 ms");
  const numeric = new Set(heads.keys());
  const rows = perSecond.map((sample) =>
    tableRow(
      [
        formatClock(sample.atMs),
        formatNumber(sample.offeredRps),
        ...sites.flatMap((site) =>
          [sample.capacityRps, sample.servedRps, sample.weights, sample.sessions].map((values) =>
            formatNumber(values[site] ?? 0),
          ),
        ),
        sample.latencyMs ? formatNumber(sample.latencyMs.p50) : "–",
        sample.latencyMs ? formatNumber(sample.latencyMs.p95) : "–",
      ],
      numeric,
    ),
  );
  return `<details><summary>The figures behind the charts, second by second</summary>${table("Figures by second", heads, rows, numeric, true)}</details>`;
}

function formatWeights(weights: BySite, sites: readonly string[]): string {
  const order = (site: string) => (sites.includes(site) ? sites.indexOf(site) : sites.length);
  return Object.entries(weights)
    .sort(([a], [b]) => order(a) - order(b))
    .map(([site, weight]) => `${site} ${formatNumber(weight)}`)
    .join(", ");
}
