import { expectMap, makeVictims, mutate } from "./support/fuzz";
import { itWith } from "./support/tools";

const LASTING_MS = 45_000;

itWith(
  ["mkfs.ext4", "mkfs.xfs", "mkswap", "sfdisk"],
  "disks full of nonsense, thousands of them, are mapped in bounded memory",
  async () => {
    const victims = await makeVictims();
    const until = Date.now() + LASTING_MS;
    const firstSeed = Date.now();
    let rounds = 0;
    for (; Date.now() < until; rounds++) {
      const seed = firstSeed + rounds;
      try {
        await expectMap(mutate(victims[rounds % victims.length]!, seed));
      } catch (error) {
        throw new Error(`seed ${seed}, ${victims[rounds % victims.length]!.name}`, { cause: error });
      }
    }
    expect(rounds).toBeGreaterThan(1000);
    expect(process.memoryUsage().rss).toBeLessThan(600 * 1024 * 1024);
  },
);
