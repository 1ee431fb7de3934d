import { LinkMeter } from "../../../../lib/image/far/link-meter";

describe("the measured link", () => {
  it("is what arrived in the time it took, whatever the order of streams", () => {
    const meter = new LinkMeter();
    for (let i = 0; i <= 40; i++) meter.note(i * 100, 125_000, 250_000);
    expect(meter.measure()).toEqual({ rateBps: 10_000_000, packedShare: 0.5 });
  });

  it("says nothing after a small or a short transfer", () => {
    const small = new LinkMeter();
    for (let i = 0; i < 10; i++) small.note(i * 1_000, 1_000, 1_000);
    expect(small.measure()).toBeUndefined();
    const short = new LinkMeter();
    for (let i = 0; i < 10; i++) short.note(i, 1_000_000, 1_000_000);
    expect(short.measure()).toBeUndefined();
    expect(new LinkMeter().measure()).toBeUndefined();
  });

  it("does not count the pause between two transfers", () => {
    const meter = new LinkMeter();
    meter.note(0, 1_000_000, 1_000_000);
    for (let i = 0; i <= 20; i++) meter.note(3_600_000 + i * 100, 250_000, 250_000);
    expect(meter.measure()?.rateBps).toBe(20_000_000);
  });

  it("follows a link that changes", () => {
    const meter = new LinkMeter();
    for (let i = 0; i <= 600; i++) meter.note(i * 100, 1_250_000, 1_250_000);
    for (let i = 1; i <= 600; i++) meter.note(60_000 + i * 100, 12_500, 12_500);
    expect(meter.measure()?.rateBps).toBeLessThan(2_000_000);
  });
});
