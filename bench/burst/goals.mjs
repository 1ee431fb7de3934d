/** A site's share may be wrong by so many points, 10 s after a shift. */
const SHARE_POINTS = 5;
const FLIP_P99_MS = 60;

/**
 * The goals that these rows can be judged by: they are Spillway's, of every run.
 * @returns {{text: string, met: boolean}[]}
 */
export function judge(rows, flip) {
  const goals = rows
    .filter(({ tool }) => tool === "spillway")
    .flatMap((row) => {
      const name = `${row.case}, run ${row.run}`;
      return [
        { text: `${name}: 0 of ${row.requests} requests failed, got ${row.failed}`, met: row.failed === 0 },
        {
          text: `${name}: p95 back under twice the quiet one, ${seconds(row.balancedMs)} after the breach`,
          met: row.balancedMs !== undefined,
        },
        {
          text: `${name}: share ${row.shareErrorPct ?? "?"} points off its weight from 10 s after a shift, at most ${SHARE_POINTS}`,
          met: row.shareErrorPct <= SHARE_POINTS,
        },
      ];
    });
  if (flip !== undefined) {
    goals.push({
      text: `flip: changed answer in ${flip.p99Ms} ms (p99 of ${flip.flips}), under ${FLIP_P99_MS}`,
      met: flip.p99Ms < FLIP_P99_MS,
    });
  }
  return goals;
}

export function seconds(ms) {
  return ms === undefined ? "never" : `${(ms / 1_000).toFixed(1)} s`;
}
