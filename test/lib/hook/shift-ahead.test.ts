import { isShiftForeseen } from "../../../lib/hook/shift-ahead";

const policy = { homeAfterMs: 300_000 };
const foreseen = (state: Parameters<typeof isShiftForeseen>[0], now = 0) =>
  isShiftForeseen(state, policy, 30, now);

test("a way out is foreseen with the first observation that asks for it, until it is decided and in force", () => {
  expect(foreseen({ phase: "quiet", above: 0 })).toBe(false);
  expect(foreseen({ phase: "quiet", above: 1 })).toBe(true);
  expect(foreseen({ phase: "bursting", above: 0 })).toBe(true);
  expect(foreseen({ phase: "burst", above: 0 })).toBe(false);
});

test("a way home is foreseen two TTLs before demand was low for long enough", () => {
  const burst = { phase: "burst", above: 0, belowSince: 1_000 } as const;
  expect(foreseen(burst, 1_000 + 239_999)).toBe(false);
  expect(foreseen(burst, 1_000 + 240_000)).toBe(true);
  expect(foreseen({ phase: "homing", above: 0 })).toBe(true);
});
