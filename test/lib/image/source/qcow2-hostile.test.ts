import { mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SpillwayError } from "../../../../lib/errors";
import { openImageSource } from "../../../../lib/image/source";
import { itWith } from "../extents/support/tools";
import { makeQcow2, readAll, survivesNonsense } from "./support/qcow2-fuzz";

const MIB = 1024 * 1024;
const ROUNDS = 100;

describe("qcow2 files full of nonsense", () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "spillway-qcow2-hostile-"));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  for (const [what, options] of [
    ["plain", ["-o", "cluster_size=4096"]],
    ["compressed", ["-c", "-o", "cluster_size=4096"]],
    ["of version 2", ["-o", "compat=0.10,cluster_size=512"]],
  ] as const) {
    itWith(
      ["qemu-img"],
      `(${what}) are read, or refused with a place and a mend; and nothing outside is read`,
      async () => {
        const good = await makeQcow2(directory, ...options);
        let [read, refused] = [0, 0];
        for (let seed = 0; seed < ROUNDS; seed++) {
          if (await survivesNonsense(directory, good, seed)) read++;
          else refused++;
        }
        expect(Math.min(read, refused)).toBeGreaterThan(ROUNDS / 20);
      },
    );
  }

  itWith(["qemu-img"], "of any length, cut off anywhere, are read or refused", async () => {
    const good = await makeQcow2(directory, "-o", "cluster_size=4096");
    const path = join(directory, "short.qcow2");
    for (let length = 1; length < good.length; length += 1 + Math.floor(length / 7)) {
      await writeFile(path, good.subarray(0, length));
      await readAll(path).catch((error) => {
        expect(error).toBeInstanceOf(SpillwayError);
        expect(error.message).not.toMatch(/was changed/);
      });
    }
  });

  it("with the largest tables there may be take little time and memory", async () => {
    const path = join(directory, "large.qcow2");
    // 128 GiB in clusters of 512 bytes: 4 Mi entries in the first table, all of which lead to the same second one.
    const header = Buffer.alloc(112);
    header.write("QFI\xfb", 0, "latin1");
    header.writeUInt32BE(3, 4);
    header.writeUInt32BE(9, 20);
    header.writeBigUInt64BE(2n ** 37n, 24);
    header.writeUInt32BE(2 ** 22, 36);
    header.writeBigUInt64BE(1024n, 40);
    header.writeUInt32BE(104, 100);
    const l1 = Buffer.alloc(2 ** 25);
    for (let i = 0; i < 2 ** 22; i++) l1.writeUInt32BE(512, 8 * i + 4);
    const l2 = Buffer.alloc(512);
    for (let i = 0; i < 64; i++) l2.writeUInt32BE(i % 2 === 0 ? 1024 : 0, 8 * i + 4);
    const handle = await open(path, "w");
    await handle.write(header, 0, header.length, 0);
    await handle.write(l2, 0, l2.length, 512);
    await handle.write(l1, 0, l1.length, 1024);
    await handle.close();
    const startedAt = Date.now();
    const source = await openImageSource(path);
    try {
      const before = process.memoryUsage().rss;
      await expect(source.allocated()).rejects.toThrow(/more clusters are said to be in the file/);
      await source.read(Buffer.alloc(MIB), 2 ** 36);
      expect(process.memoryUsage().rss - before).toBeLessThan(100 * MIB);
    } finally {
      await source.close();
    }
    expect(Date.now() - startedAt).toBeLessThan(5000);
  });
});
