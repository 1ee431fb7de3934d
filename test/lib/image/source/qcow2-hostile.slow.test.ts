import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { itWith } from "../extents/support/tools";
import { makeQcow2, survivesNonsense } from "./support/qcow2-fuzz";

const LASTING_MS = 30_000;

itWith(
  ["qemu-img"],
  "qcow2 files full of nonsense, thousands of them, are read or refused in bounded memory",
  async () => {
    const directory = await mkdtemp(join(tmpdir(), "spillway-qcow2-hostile-"));
    try {
      const images = [
        await makeQcow2(directory, "-o", "cluster_size=4096"),
        await makeQcow2(directory, "-c", "-o", "cluster_size=4096"),
        await makeQcow2(directory, "-o", "compat=0.10,cluster_size=512"),
      ];
      const [firstSeed, until] = [Date.now(), Date.now() + LASTING_MS];
      let [read, refused] = [0, 0];
      while (Date.now() < until) {
        const seed = firstSeed + read + refused;
        if (await survivesNonsense(directory, images[seed % images.length]!, seed)) read++;
        else refused++;
      }
      expect(Math.min(read, refused)).toBeGreaterThan(100);
      expect(process.memoryUsage().rss).toBeLessThan(600 * 1024 * 1024);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  },
);
