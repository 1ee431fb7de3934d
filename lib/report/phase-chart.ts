import { formatDuration } from "../duration";
import { figureHead, phaseTone, renderTimeAxis, type TimeFrame } from "./chart";
import { coordinate, escapeText, formatClock } from "./markup";
import { outcomeOf, type PhaseName, type RunApply } from "./run-record";

const ROW_PX = 20;
const ORDER: readonly PhaseName[] = ["transfer", "launch", "admit", "shift", "burst", "drain", "take-down"];

interface Bar {
  readonly startMs: number;
  readonly endMs: number;
  readonly tone: string;
  readonly hint: string;
}

/** When each phase and each apply ran: a row each, on the same time axis as the charts below it. */
export function renderPhaseChart(frame: TimeFrame, applies: readonly RunApply[]): string {
  const rows: { readonly name: string; readonly bars: readonly Bar[] }[] = ORDER.flatMap((name) => {
    const bars = frame.phases
      .filter((phase) => phase.name === name)
      .map((phase) => ({ ...phase, tone: phaseTone(name), hint: name }));
    return bars.length === 0 ? [] : [{ name, bars }];
  });
  if (applies.length > 0) {
    const bars = applies.map((apply) => ({
      ...apply,
      tone: `apply ${outcomeOf(apply)}`,
      hint: `terraform apply, ${outcomeOf(apply)}: ${apply.summary}`,
    }));
    rows.push({ name: "apply", bars });
  }
  if (rows.length === 0) return "";
  const numbersPx = frame.decisions.length > 0 ? 20 : 0;
  const heightPx = numbersPx + rows.length * ROW_PX + 4;
  const body = rows.map((row, index) => {
    const y = numbersPx + index * ROW_PX;
    return (
      `<text class="mark" x="-8" y="${y + 14}" text-anchor="end">${escapeText(row.name)}</text>` +
      row.bars.map((bar, at) => renderBar(frame, bar, y, row.bars[at - 1], row.bars[at + 1])).join("")
    );
  });
  const head = figureHead(
    { id: "phases", title: "Phases and applies", unit: "time of the run, minutes:seconds" },
    `<span class="legend"><span class="key"><span class="box out"></span>way out</span><span class="key"><span class="box stay"></span>in the cloud</span><span class="key"><span class="box home"></span>way home</span><span class="key"><span class="disc" aria-hidden="true">1</span>decision</span></span>`,
  );
  return (
    `${head}<div class="plot"><svg width="100%" height="${heightPx + 24}" role="img" aria-labelledby="phases-title phases-desc">` +
    `<title id="phases-title">Phases and applies</title><desc id="phases-desc">When each phase of the burst and each terraform apply ran; the tables below give the same times.</desc>` +
    renderDecisionNumbers(frame, heightPx) +
    body.join("") +
    renderTimeAxis(frame, heightPx) +
    `</svg></div></figure>`
  );
}

/** A label wants so much of the width beside its bar, per cent. */
const LABEL_WIDE = 9;

function renderBar(
  frame: TimeFrame,
  bar: Bar,
  y: number,
  before: Bar | undefined,
  after: Bar | undefined,
): string {
  const place = (atMs: number) => (atMs / frame.durationMs) * 100;
  const left = place(bar.startMs);
  const width = Math.max(0.2, place(bar.endMs) - left);
  const took = formatDuration(Math.max(0, bar.endMs - bar.startMs));
  // Beside the bar, on the side that has room; the hint and the table have it in any case.
  let label = "";
  if ((after === undefined ? 100 : place(after.startMs)) - left - width >= LABEL_WIDE) {
    label = `<text class="took" x="${coordinate(left + width)}%" dx="5" y="${y + 14}">${took}</text>`;
  } else if (left - (before === undefined ? 0 : place(before.endMs)) >= LABEL_WIDE) {
    label = `<text class="took" x="${coordinate(left)}%" dx="-5" y="${y + 14}" text-anchor="end">${took}</text>`;
  }
  const hint = `${bar.hint}, ${formatClock(bar.startMs)} to ${formatClock(bar.endMs)}, ${took}`;
  return (
    `<rect class="bar ${bar.tone}" x="${coordinate(left)}%" y="${y + 4}" width="${coordinate(width)}%" height="${ROW_PX - 7}" rx="2">` +
    `<title>${escapeText(hint)}</title></rect>${label}`
  );
}

function renderDecisionNumbers(frame: TimeFrame, heightPx: number): string {
  return frame.decisions
    .map((decision, index) => {
      const at = `${coordinate((decision.atMs / frame.durationMs) * 100)}%`;
      return (
        `<line class="decision" x1="${at}" x2="${at}" y1="16" y2="${heightPx}"/><circle class="disc" cx="${at}" cy="9" r="9"/>` +
        `<text class="disc-number" x="${at}" y="13" text-anchor="middle">${index + 1}<title>${escapeText(`${decision.action}: ${decision.reason}`)}</title></text>`
      );
    })
    .join("");
}
