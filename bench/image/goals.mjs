/** What Spillway promises: 100 Mbit/s, 50 ms round trip, cubic, a quiet machine, two cores for both ends and the link. */
const FIGURES = [
  { case: "warm-fs", upMb: 225, wallS: 21, busy: 0.95 },
  { case: "warm-exact", upMb: 370, wallS: 33, busy: 0.95 },
  { case: "cold-fs", upMb: 650, wallS: 55, busy: 0.95 },
  { case: "warm-fs-loss-0.1", wallS: 26 },
  { case: "warm-fs-loss-1", wallS: 30 },
  { case: "cold-fs-related" },
];
const NEAR_MB = 400;
const FAR_MB = 250;
/** Of rsync's bytes and time in the same run, whatever the machine. */
const OF_RSYNC = 0.8;

/**
 * The goals that these rows can be judged by.
 * @returns {{text: string, met: boolean}[]}
 */
export function judge(rows) {
  const goals = [];
  const most = (name, what, value, limit, unit) =>
    goals.push({ text: `${name}: ${what} ${value} ${unit}, at most ${limit}`, met: value <= limit });
  for (const figure of FIGURES) {
    const ours = rows.find((row) => row.case === figure.case && row.tool === "spillway");
    if (ours === undefined) continue;
    const { case: name, upBytes, wallS } = ours;
    goals.push({ text: `${name}: arrived and verified`, met: ours.verified });
    if (figure.upMb !== undefined) most(name, "sent", mb(upBytes), figure.upMb, "MB");
    if (figure.wallS !== undefined) most(name, "took", wallS, figure.wallS, "s");
    most(name, "memory near", ours.rssMb, NEAR_MB, "MB");
    most(name, "memory far", ours.farRssMb, FAR_MB, "MB");
    if (figure.busy !== undefined && ours.linkBusy !== undefined) {
      const text = `${name}: link busy ${percent(ours.linkBusy)} from the 3rd second on, at least ${percent(figure.busy)}`;
      goals.push({ text, met: ours.linkBusy >= figure.busy });
    }
    const theirs = rows.filter((row) => row.case === name && row.tool.startsWith("rsync"));
    if (theirs.length === 0) continue;
    // Where none came to its end, the time at which it was cut off is less than what it would have taken.
    const done = theirs.filter((row) => row.done);
    const compared = done.length > 0 ? done : theirs;
    const share = (value, of) => Number((value / Math.min(...compared.map(of))).toFixed(2));
    if (done.length > 0)
      most(
        name,
        "bytes of rsync's",
        share(upBytes, (row) => row.upBytes),
        OF_RSYNC,
        "",
      );
    most(
      name,
      "time of rsync's",
      share(wallS, (row) => row.wallS),
      OF_RSYNC,
      "",
    );
  }
  return goals;
}

export function mb(bytes) {
  return Number((bytes / 1e6).toFixed(1));
}

export function percent(share) {
  return share === undefined ? "" : `${(share * 100).toFixed(1)} %`;
}
