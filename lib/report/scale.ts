/** Marks of an axis from 0: round steps (1, 2, 2.5 or 5 times a power of ten), the last at or above `top`. */
export function valueMarks(top: number, about = 4): readonly number[] {
  const highest = Math.max(drawable(top), 1e-6);
  const power = 10 ** Math.floor(Math.log10(highest / about));
  const step = [1, 2, 2.5, 5, 10]
    .map((factor) => factor * power)
    .find((one) => one * about >= highest * 0.999)!;
  const intervals = Math.max(1, Math.ceil(highest / step - 1e-9));
  return Array.from({ length: intervals + 1 }, (_, index) => Number((index * step).toPrecision(12)));
}

/** A value that a chart can show: what is no number, negative, or beyond all measure must not spoil the rest of it. */
export function drawable(value: number): number {
  return Number.isFinite(value) ? Math.min(Math.max(value, 0), 1e15) : 0;
}

const TIME_STEPS_S = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200, 86_400,
];

/** Marks of the time axis, from 0, in round steps, at most `most` of them. */
export function timeMarks(durationMs: number, most = 14): readonly number[] {
  const stepS = TIME_STEPS_S.find((step) => durationMs / (step * 1_000) <= most) ?? durationMs / 1_000 / most;
  const marks: number[] = [];
  for (let at = 0; at <= durationMs; at += stepS * 1_000) marks.push(at);
  return marks;
}
