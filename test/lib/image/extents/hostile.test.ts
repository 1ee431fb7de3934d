import { expectMap, makeVictims, mutate, type Victim } from "./support/fuzz";
import { itWith } from "./support/tools";

const TOOLS = ["mkfs.ext4", "mkfs.xfs", "mkswap", "sfdisk"];
const ROUNDS = 120;

describe("disks full of nonsense", () => {
  let victims: Victim[] | undefined;

  itWith(TOOLS, "are told as what they are before anything is changed", async () => {
    victims = await makeVictims();
    for (const { disk, name } of victims) {
      const { parts } = await expectMap(disk.copy());
      const kinds = parts.map(({ kind, treated }) => `${kind} ${treated}`);
      if (/^(ext4|XFS|swap)/.test(name)) {
        expect([name, kinds]).toEqual([name, [`${name.split(" ")[0]!.toLowerCase()} in-use`]]);
      } else {
        expect(kinds).toContain("unknown exact");
      }
    }
  });

  itWith(
    TOOLS,
    "never make anything be thrown, be read outside, or be called free that is not on the disk",
    async () => {
      victims ??= await makeVictims();
      const seen: Record<string, number> = {};
      for (const [i, victim] of victims.entries()) {
        for (let round = 0; round < ROUNDS; round++) {
          const map = await expectMap(mutate(victim, 1000 * i + round));
          for (const { treated } of map.parts) seen[treated] = (seen[treated] ?? 0) + 1;
        }
      }
      // Both ends of the scale were reached: nonsense that is noticed, and nonsense that does not matter.
      expect(seen["exact"]).toBeGreaterThan(300);
      expect(seen["in-use"]).toBeGreaterThan(200);
    },
  );

  itWith(TOOLS, "of any length, also cut off within what they hold, are mapped", async () => {
    victims ??= await makeVictims();
    for (const { disk } of victims) {
      for (const size of [
        1,
        100,
        511,
        512,
        513,
        1023,
        1024,
        1500,
        2048,
        4096,
        5000,
        70_000,
        disk.sizeBytes - 1,
      ]) {
        const map = await expectMap(disk.copy(size));
        expect(map.inUse.bytes).toBe(size);
      }
    }
  });
});
