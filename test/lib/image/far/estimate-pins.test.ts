import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { EstimatePins } from "../../../../lib/image/far/estimate-pins";
import { scratch } from "../support/images";

const directory = scratch();
afterAll(directory.remove);

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const START = 1_700_000_000_000;
const estimate = {
  ...{ totalBytes: 100, inUseBytes: 90, presentBytes: 40, sendBytes: 60, etaMs: 5 },
  ...{ rateBps: 1e8, rateIs: "assumed" as const },
};
let number = 0;

function pins(): EstimatePins {
  const path = join(directory.path, String(++number));
  mkdirSync(path);
  return new EstimatePins((digest) => join(path, digest));
}

describe("a pinned estimate of an image that became complete", () => {
  it("is that of the saved plan for a day, when nothing asked for it again before", async () => {
    const pinned = pins();
    await pinned.put("a", estimate, START);
    const completedAt = START + 2 * HOUR;
    expect(await pinned.getComplete("a", completedAt, START + 20 * HOUR)).toEqual(estimate);
    expect(await pinned.getComplete("a", completedAt, START + 43 * HOUR)).toEqual(estimate);
    expect(await pinned.getComplete("a", completedAt, START + 68 * HOUR)).toBeUndefined();
  });

  it("is told anew when it was asked for again before: it has served its apply", async () => {
    const pinned = pins();
    await pinned.put("a", estimate, START);
    await pinned.get("a", 0, START + MINUTE);
    const completedAt = START + HOUR;
    expect(await pinned.getComplete("a", completedAt, completedAt + 1)).toBeUndefined();
  });

  it("stays for a day when it was made afterwards", async () => {
    const pinned = pins();
    await pinned.put("a", estimate, START + HOUR);
    expect(await pinned.getComplete("a", START, START + 20 * HOUR)).toEqual(estimate);
    expect(await pinned.getComplete("a", START, START + 40 * HOUR)).toEqual(estimate);
    expect(await pinned.getComplete("a", START, START + 65 * HOUR)).toBeUndefined();
  });
});
