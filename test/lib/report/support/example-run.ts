import type { RunRecord, RunSample } from "../../../../lib/report";

const DURATION_MS = 112_000;

/** A burst of two sites as the demo makes it: demand from a curve, everything else as it would follow. */
export function exampleRun(): RunRecord {
  const samples: RunSample[] = [];
  for (let atMs = 0; atMs <= DURATION_MS; atMs += 500) samples.push(sampleAt(atMs));
  return {
    title: "Demo: examples/shop, out to the cloud and home again",
    subtitle:
      "Demand: the World Cup 1998 web site on 10 June 1998, compressed. Two sites on loopback addresses.",
    startedAt: Date.UTC(2026, 10, 23, 12, 0, 0),
    durationMs: DURATION_MS,
    sites: ["onprem", "cloud"],
    samples,
    phases: [
      { name: "transfer", startMs: 11_200, endMs: 15_900 },
      { name: "launch", startMs: 15_900, endMs: 18_400 },
      { name: "admit", startMs: 18_400, endMs: 21_500 },
      { name: "shift", startMs: 21_500, endMs: 25_700 },
      { name: "burst", startMs: 25_700, endMs: 66_000 },
      { name: "drain", startMs: 66_000, endMs: 98_300 },
      { name: "take-down", startMs: 98_300, endMs: 100_900 },
    ],
    decisions: [
      {
        atMs: 10_400,
        action: "burst",
        reason:
          "utilisation 0.71 now, 0.93 forecast in 14 s (transfer 5 s, launch 3 s, admission 3 s, name server tail 3 s), above 0.8 in 3 observations",
        weights: { onprem: 55, cloud: 45 },
        members: 2,
      },
      {
        atMs: 63_800,
        action: "home",
        reason: "all demand would load the on-premises pool 0.46, below 0.5, for 5 s",
        weights: { onprem: 100 },
        members: 0,
      },
    ],
    applies: [
      { startMs: 500, endMs: 4_100, ok: true, summary: "3 added, 0 changed, 0 destroyed" },
      { startMs: 10_700, endMs: 25_700, ok: true, summary: "3 added, 1 changed, 0 destroyed" },
      { startMs: 64_200, endMs: 100_900, ok: true, summary: "0 added, 1 changed, 2 destroyed" },
    ],
    totals: {
      requests: 41_233,
      failed: 0,
      retried: 12,
      sessionsAtTakeDown: 0,
      imageBytes: 48_026_624,
      imageBytesSent: 23_411_870,
      latencyMs: { p50: 21, p95: 138, p99: 412 },
    },
    notes: ["A tenth of the users kept a stale answer for ten times its TTL."],
  };
}

function sampleAt(atMs: number): RunSample {
  const seconds = atMs / 1_000;
  const rise = clamp((seconds - 8) / 22);
  const fall = clamp((seconds - 48) / 12);
  const offeredRps = 180 + 540 * rise ** 1.5 * (1 - fall) + 14 * Math.sin(seconds * 2.1);
  const cloudUp = seconds >= 18.4 && seconds < 98.3;
  const inRecord = seconds >= 21.5 && seconds < 66;
  const moved = inRecord ? clamp((seconds - 21.5) / 4) : seconds >= 66 ? 1 - clamp((seconds - 66) / 22) : 0;
  const cloud = cloudUp ? 0.45 * moved : 0;
  const overload = Math.max(0, (offeredRps * (1 - cloud)) / 400 - 0.9);
  return {
    atMs,
    offeredRps,
    capacityRps: { onprem: 400, ...(cloudUp ? { cloud: 400 } : {}) },
    servedRps: { onprem: offeredRps * (1 - cloud), ...(cloudUp ? { cloud: offeredRps * cloud } : {}) },
    weights: inRecord ? { onprem: 55, cloud: 45 } : { onprem: 100 },
    sessions: {
      onprem: Math.round(100 * (1 - cloud)),
      ...(cloudUp ? { cloud: Math.round(100 * cloud) } : {}),
    },
    failedRps: 0,
    latencyMs: { p50: 21 + overload * 300, p95: 34 + overload * 900 },
  };
}

function clamp(value: number): number {
  return Math.min(1, Math.max(0, value));
}
