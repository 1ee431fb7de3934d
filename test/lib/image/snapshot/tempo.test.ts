import fc from "fast-check";
import { afterSuccess, afterTrouble, firstTempo, type Tempo } from "../../../../lib/image/snapshot/tempo";

const event = fc.record({
  kind: fc.constantFrom("success", "throttled", "slow", "away" as const),
  afterMs: fc.nat(5_000),
  askedMs: fc.oneof(fc.constant(0), fc.nat(300_000)),
  random: fc.double({ min: 0, max: 1, noNaN: true }),
});

describe("how many requests go at once, and when", () => {
  it("is at least one and at most the limit, and never waits for longer than two minutes", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 64 }), fc.array(event, { maxLength: 200 }), (max, events) => {
        let tempo = firstTempo(max);
        let now = 0;
        for (const { kind, afterMs, askedMs, random } of events) {
          now += afterMs;
          tempo =
            kind === "success"
              ? afterSuccess(tempo)
              : afterTrouble(tempo, kind as "slow", now, random, askedMs);
          expect(tempo.limit).toBeGreaterThanOrEqual(1);
          expect(tempo.limit).toBeLessThanOrEqual(max);
          expect(tempo.pausedUntil).toBeLessThanOrEqual(now + 120_000);
          if (kind !== "success") expect(tempo.pausedUntil).toBeGreaterThan(now);
        }
      }),
    );
  });

  it("grows to the limit while nothing is refused, and slowly after something was", () => {
    const grown = (tempo: Tempo, successes: number) => {
      for (let i = 0; i < successes; i++) tempo = afterSuccess(tempo);
      return tempo;
    };
    expect(grown(firstTempo(64), 56).limit).toBe(64);
    const refused = afterTrouble(grown(firstTempo(64), 56), "throttled", 10_000, 0.5);
    expect(refused.limit).toBe(32);
    const after = grown(refused, 32).limit;
    expect(after).toBeGreaterThan(32);
    expect(after).toBeLessThan(33.1);
  });

  it("is cut once by a volley that is refused together, and the pause doubles with each new refusal", () => {
    let tempo = { ...firstTempo(64), limit: 64 };
    for (let i = 0; i < 64; i++) tempo = { ...afterTrouble(tempo, "throttled", 1_000 + i, 1) };
    expect(tempo.limit).toBe(32);
    const pauses: number[] = [];
    let now = 10_000;
    for (let i = 0; i < 8; i++) {
      tempo = { ...afterTrouble(tempo, "throttled", now, 1) };
      pauses.push(tempo.pausedUntil - now);
      now = tempo.pausedUntil + 1;
    }
    for (let i = 1; i < pauses.length; i++) expect(pauses[i]).toBeGreaterThanOrEqual(pauses[i - 1]!);
    expect(pauses.at(-1)).toBe(20_000);
    expect(afterSuccess(tempo).strikes).toBe(0);
  });

  it("waits as long as it is asked to, and cuts nothing where only the connection failed", () => {
    expect(afterTrouble(firstTempo(64), "throttled", 0, 0, 7_000).pausedUntil).toBe(7_000);
    expect(afterTrouble(firstTempo(64), "away", 0, 0).limit).toBe(firstTempo(64).limit);
  });
});
