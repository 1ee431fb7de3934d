import type { RecordSpec } from "../../../lib/site/api";
import { putSteps } from "../../../providers/powerdns";
import type { Present } from "../../../providers/powerdns/steps";

const spec = (ttlSeconds: number, ...addresses: readonly string[]): RecordSpec => ({
  owner: "test",
  ttlSeconds,
  answers: addresses.map((address) => ({ site: address, address, weight: 100 / addresses.length })),
});
const present = (of: RecordSpec, ttlSeconds = of.ttlSeconds): Present => ({
  mark: { agent: "onprem", spec: of, changedAt: 0, serial: 1 },
  ttlSeconds,
});
const settings = {
  shift: { ttlSeconds: 5, waitMs: 10_000, holdMs: 60_000 },
  health: { type: "tcp", port: 80 } as const,
  secondaries: [{ host: "192.0.2.54", port: 53 }],
};

describe("steps of a put", () => {
  test("of a shift are all there are, in this order", () => {
    expect(
      putSteps(present(spec(300, "192.0.2.1")), spec(300, "192.0.2.1", "198.51.100.1"), settings),
    ).toEqual([
      { kind: "lower-ttl", ttlSeconds: 5, waitMs: 10_000 },
      { kind: "warm-up", addresses: ["198.51.100.1"] },
      { kind: "write", ttlSeconds: 5 },
      { kind: "follow", secondaries: ["192.0.2.54:53"] },
      { kind: "raise-ttl", ttlSeconds: 300, afterMs: 60_000 },
    ]);
  });

  test("wait no longer than the TTL that caches may hold, and not at all when it was lowered ahead", () => {
    const wanted = spec(300, "198.51.100.1");
    const slow = { ...settings, shift: { ...settings.shift, waitMs: 3_600_000 } };
    expect(putSteps(present(spec(300, "192.0.2.1")), wanted, slow)[0]).toMatchObject({ waitMs: 300_000 });
    const kinds = putSteps(present(spec(300, "192.0.2.1"), 5), wanted, slow).map(({ kind }) => kind);
    expect(kinds).toEqual(["warm-up", "write", "follow", "raise-ttl"]);
  });

  test("are few for a new record, another TTL, or a TTL that is low already", () => {
    const kinds = (from: Present | undefined, to: RecordSpec) =>
      putSteps(from, to, { ...settings, secondaries: [], health: undefined }).map(({ kind }) => kind);
    expect(kinds(undefined, spec(300, "192.0.2.1"))).toEqual(["write"]);
    expect(kinds(present(spec(300, "192.0.2.1")), spec(600, "192.0.2.1"))).toEqual(["write"]);
    expect(kinds(present(spec(5, "192.0.2.1")), spec(5, "198.51.100.1"))).toEqual(["write"]);
  });
});
