import { copyFileSync, mkdirSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openImageStore } from "../../../../lib/image/far";
import { pushImage } from "../../../../lib/image/near";
import { sleep } from "../../../../lib/wait";
import { itWith, run } from "../extents/support/tools";
import { bytesOf, listening, scratch } from "../support/images";

const MIB = 2 ** 20;
const FILE_BYTES = 2 * MIB;

describe("a file that was replaced by a newer version of itself, elsewhere on the disk", () => {
  const home = scratch();
  afterAll(home.remove);

  /** No chunk of the one is in the other, but nearly all of its bytes are. */
  const before = bytesOf(1, FILE_BYTES);
  const after = Buffer.from(before);
  for (let at = 0; at < after.length; at += 1024) bytesOf(at + 2, 8).copy(after, at);

  for (const exact of [false, true]) {
    const how = exact ? "bit by bit" : "of what is in use";
    itWith(["mke2fs", "debugfs"], `is told as what has become of the old one, ${how}`, async () => {
      const own = join(home.path, exact ? "exact" : "in-use");
      mkdirSync(join(own, "root"), { recursive: true });
      writeFileSync(join(own, "root", "old"), before);
      writeFileSync(join(own, "new"), after);
      const [one, two] = [join(own, "one.img"), join(own, "two.img")];
      writeFileSync(one, "");
      truncateSync(one, 24 * MIB);
      run("mke2fs", ["-q", "-t", "ext4", "-F", "-d", join(own, "root"), one]);
      copyFileSync(one, two);
      // The new is written before the old is gone, so that it does not take its blocks.
      run("debugfs", ["-w", "-R", `write ${join(own, "new")} new`, two]);
      run("debugfs", ["-w", "-R", "rm old", two]);
      const old = new Date(Date.now() - 60_000);
      for (const image of [one, two]) utimesSync(image, old, old);
      // What was only just written is not remembered: it might be written again within the same tick of the clock.
      await sleep(80);
      const store = await openImageStore({ directory: join(own, "far"), site: "cloud" });
      try {
        const push = (source: string) =>
          pushImage({
            ...{ source, exact, target: store, context: listening(), cacheDirectory: join(own, "cache") },
          });
        const first = await push(one);
        expect(first.sentBytes).toBeGreaterThan(FILE_BYTES);
        expect((await push(two)).sentBytes).toBeLessThan(FILE_BYTES / 8);
      } finally {
        await store.close();
      }
    });
  }
});
