import { coordinate, escapeText, formatClock, formatNumber } from "./markup";
import { drawable, timeMarks, valueMarks } from "./scale";
import type { RunDecision, RunPhase } from "./run-record";

export interface Point {
  readonly atMs: number;
  readonly value: number;
}

export interface Series {
  readonly name: string;
  /** CSS class that gives the colour: `site-0`, `demand`, … */
  readonly tone: string;
  readonly points: readonly Point[];
  /** `area`: stacked on the areas before it. */
  readonly as: "area" | "line";
  /** A value holds until the next point (weights, members), or runs straight to it. */
  readonly shape: "steps" | "straight";
  readonly dashed?: boolean;
}

/** What all charts of one report have in common: the time axis and what is marked on it. */
export interface TimeFrame {
  readonly durationMs: number;
  readonly phases: readonly RunPhase[];
  readonly decisions: readonly RunDecision[];
}

export interface ChartOptions {
  readonly id: string;
  readonly title: string;
  readonly unit: string;
  /** What a reader who cannot see it should know. */
  readonly description: string;
  readonly heightPx: number;
  readonly series: readonly Series[];
  /** Top of the axis; the highest value, when left out. */
  readonly top?: number;
  readonly about?: number;
}

/** Width of the drawing's own coordinates; the page stretches it, strokes keep their width. */
const WIDE = 1_000;

/**
 * One chart: a figure with title, legend and an SVG. The drawing stretches to the width of the page; texts and marks are placed in
 * per cent, so that they keep their size at any width. No script.
 */
export function renderChart(frame: TimeFrame, options: ChartOptions): string {
  const { heightPx } = options;
  const stacks = stacked(options.series);
  const highest = stacks
    .flatMap(({ upper }) => upper)
    .reduce((most, point) => Math.max(most, point.value), 0);
  const marks = valueMarks(options.top ?? highest, options.about ?? 4);
  const top = marks.at(-1)!;
  const y = (value: number) => heightPx - (Math.min(value, top) / top) * heightPx;
  const x = (atMs: number) => (atMs / frame.durationMs) * WIDE;

  const areas = stacks.filter(({ series }) => series.as === "area").map((stack) => renderArea(stack, x, y));
  const lines = stacks.map((stack) => renderLine(stack, x, y));
  const stretched = (shapes: readonly string[]) =>
    `<svg x="0" y="0" width="100%" height="${heightPx}" viewBox="0 0 ${WIDE} ${heightPx}" preserveAspectRatio="none">${shapes.join("")}</svg>`;
  const grid = marks.map(
    (mark) =>
      `<line class="grid" x1="0" x2="100%" y1="${coordinate(y(mark))}" y2="${coordinate(y(mark))}"/>` +
      `<text class="mark" x="-8" y="${coordinate(y(mark) + 4)}" text-anchor="end">${formatNumber(mark, mark % 1 === 0 ? 0 : 1)}</text>`,
  );
  return (
    figureHead(options, legend(options.series)) +
    `<div class="plot"><svg width="100%" height="${heightPx + 24}" role="img" aria-labelledby="${options.id}-title ${options.id}-desc">` +
    `<title id="${options.id}-title">${escapeText(options.title)}</title><desc id="${options.id}-desc">${escapeText(options.description)}</desc>` +
    renderBands(frame, heightPx) +
    stretched(areas) +
    grid.join("") +
    stretched(lines) +
    renderDecisionMarks(frame, heightPx) +
    renderTimeAxis(frame, heightPx) +
    `</svg></div></figure>`
  );
}

/** Opens a figure: title, unit and legend. The caller closes it. */
export function figureHead(
  options: { id: string; title: string; unit: string },
  legendMarkup: string,
): string {
  const unit = options.unit === "" ? "" : ` <span class="unit">${escapeText(options.unit)}</span>`;
  return `<figure id="${options.id}"><figcaption><span class="name">${escapeText(options.title)}${unit}</span>${legendMarkup}</figcaption>`;
}

export function renderTimeAxis(frame: TimeFrame, heightPx: number): string {
  const marks = timeMarks(frame.durationMs).map((atMs, index) => {
    const at = `${coordinate((atMs / frame.durationMs) * 100)}%`;
    // Every other label gives way on narrow pages.
    const label = `<text class="mark${index % 2 === 1 ? " wide-only" : ""}" x="${at}" y="${heightPx + 18}" text-anchor="middle">${formatClock(atMs)}</text>`;
    return `<line class="axis" x1="${at}" x2="${at}" y1="${heightPx}" y2="${heightPx + 4}"/>${label}`;
  });
  return `<line class="axis" x1="0" x2="100%" y1="${heightPx}" y2="${heightPx}"/>${marks.join("")}`;
}

/** The phases at a chart: tints behind it for the way out and the way home, and a strip above it that no area covers. */
export function renderBands(frame: TimeFrame, heightPx: number): string {
  return frame.phases
    .map((phase) => {
      const left = coordinate((phase.startMs / frame.durationMs) * 100);
      const width = coordinate((Math.max(0, phase.endMs - phase.startMs) / frame.durationMs) * 100);
      const tone = phaseTone(phase.name);
      return (
        `<rect class="band ${tone}" x="${left}%" y="0" width="${width}%" height="${heightPx}"/>` +
        `<rect class="strip ${tone}" x="${left}%" y="-9" width="${width}%" height="5"><title>${escapeText(phase.name)}</title></rect>`
      );
    })
    .join("");
}

export function renderDecisionMarks(frame: TimeFrame, heightPx: number): string {
  return frame.decisions
    .map((decision) => {
      const at = `${coordinate((decision.atMs / frame.durationMs) * 100)}%`;
      return `<line class="decision" x1="${at}" x2="${at}" y1="0" y2="${heightPx}"/>`;
    })
    .join("");
}

/** On the way out, in the cloud, or on the way home. */
export function phaseTone(name: RunPhase["name"]): "out" | "stay" | "home" {
  if (name === "burst") return "stay";
  return name === "drain" || name === "take-down" ? "home" : "out";
}

interface Stack {
  readonly series: Series;
  readonly lower: readonly Point[];
  readonly upper: readonly Point[];
}

function stacked(series: readonly Series[]): readonly Stack[] {
  let base: readonly number[] = [];
  return series.map((given) => {
    const points = given.points.map((point) => ({ atMs: point.atMs, value: drawable(point.value) }));
    const one = { ...given, points };
    if (one.as === "line") return { series: one, lower: [], upper: points };
    const below = base;
    const upper = one.points.map((point, index) => ({
      atMs: point.atMs,
      value: point.value + (below[index] ?? 0),
    }));
    base = upper.map((point) => point.value);
    return {
      series: one,
      lower: upper.map((point, index) => ({ atMs: point.atMs, value: below[index] ?? 0 })),
      upper,
    };
  });
}

type Place = (value: number) => number;

function renderArea({ series, lower, upper }: Stack, x: Place, y: Place): string {
  if (upper.length === 0) return "";
  const there = track(upper, series.shape, x, y);
  const back = track(lower, series.shape, x, y).reverse();
  return `<polygon class="area ${series.tone}" points="${[...there, ...back].join(" ")}"/>`;
}

function renderLine({ series, lower, upper }: Stack, x: Place, y: Place): string {
  if (upper.length === 0) return "";
  const style = `line ${series.tone}${series.dashed ? " dashed" : ""}`;
  if (series.as === "line") {
    return `<polyline class="${style}" points="${track(upper, series.shape, x, y).join(" ")}"/>`;
  }
  // The edge of an area is drawn only where the area has a height: a site that is not there must not show.
  return heights(lower, upper)
    .map((run) => `<polyline class="${style}" points="${track(run, series.shape, x, y).join(" ")}"/>`)
    .join("");
}

function heights(lower: readonly Point[], upper: readonly Point[]): readonly (readonly Point[])[] {
  const runs: Point[][] = [];
  let open = false;
  upper.forEach((point, index) => {
    const high = point.value > lower[index].value;
    if (high && !open) runs.push(index > 0 ? [upper[index - 1]] : []);
    if (high || open) runs.at(-1)!.push(point);
    open = high;
  });
  return runs;
}

function track(points: readonly Point[], shape: Series["shape"], x: Place, y: Place): string[] {
  const path: string[] = [];
  points.forEach((point, index) => {
    const before = points[index - 1];
    const after = points[index + 1];
    if (shape === "steps") {
      // What holds need not be said again: only the first and the last of equal values are drawn.
      if (before && after && before.value === point.value && after.value === point.value) return;
      if (before) path.push(`${coordinate(x(point.atMs))},${coordinate(y(before.value))}`);
    }
    path.push(`${coordinate(x(point.atMs))},${coordinate(y(point.value))}`);
  });
  return path;
}

function legend(series: readonly Series[]): string {
  const entries = series.map(
    (one) =>
      `<span class="key"><svg class="swatch" width="22" height="10" aria-hidden="true">` +
      (one.as === "area"
        ? `<rect class="area ${one.tone}" x="0" y="0" width="22" height="10"/><line class="line ${one.tone}" x1="0" x2="22" y1="1" y2="1"/>`
        : `<line class="line ${one.tone}${one.dashed ? " dashed" : ""}" x1="0" x2="22" y1="5" y2="5"/>`) +
      `</svg>${escapeText(one.name)}</span>`,
  );
  return `<span class="legend">${entries.join("")}</span>`;
}
