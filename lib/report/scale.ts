/** Marks of an axis from 0: round steps (1, 2, 2.5 or 5 times a power of ten), the last at or above `top`. */
export function valueMarks(top: number, about = 4): readonly number[] {
  const wanted = Math.max(Number.isFinite(top) ? top : 0, 1e-9) / about;
  const power = 10 ** Math.floor(Math.log10(wanted));
  const step = [1, 2, 2.5, 5, 10]
    .map((factor) => factor * power)
    .find((candidate) => candidate >= wanted * 0.999)!;
  const marks: number[] = [];
  for (let index = 0; ; index++) {
    const mark = Number((index * step).toPrecision(12));
    marks.push(mark);
    if (mark >= top && index > 0) return marks;
  }
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
