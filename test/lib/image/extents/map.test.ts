import { AbortedError, SpillwayError } from "../../../../lib/errors";
import { mapExtents } from "../../../../lib/image/extents";
import { openImageSource, type ImageSource } from "../../../../lib/image/source";
import { createDisk, mapOf, MIB, testDirectory } from "./support/images";
import { itWith, run } from "./support/tools";
import { writeTree } from "./support/trees";

describe("the map of a disk", () => {
  const { path } = testDirectory("map");

  const makeExt4 = async () => {
    await writeTree(path("tree"), 20, 5);
    await createDisk(path("disk.raw"), 32 * MIB);
    run("mkfs.ext4", ["-q", "-F", "-b", "1024", "-d", path("tree"), path("disk.raw")]);
    return path("disk.raw");
  };

  itWith(
    ["mkfs.ext4", "qemu-img"],
    "in qcow2 is that of the raw one, less what is not allocated",
    async () => {
      const raw = await makeExt4();
      const image = path("disk.qcow2");
      run("qemu-img", ["convert", "-O", "qcow2", "-o", "cluster_size=4096", "-f", "raw", raw, image]);
      const [inRaw, inQcow2] = [await mapOf(raw), await mapOf(image)];
      expect(inQcow2.parts).toMatchObject([{ kind: "ext4", treated: "in-use", length: 32 * MIB }]);
      expect(inQcow2.inUse.subtract(inRaw.inUse).count).toBe(0);
      const source = await openImageSource(image);
      try {
        expect(inRaw.inUse.intersect(await source.allocated()).bytes).toBe(inQcow2.inUse.bytes);
      } finally {
        await source.close();
      }
      expect(inQcow2.inUse.bytes).toBeLessThan(inRaw.inUse.bytes);
      const exact = await mapOf(image, { exact: true });
      expect(inQcow2.inUse.subtract(exact.inUse).count).toBe(0);
    },
  );

  itWith(["mkfs.ext4"], "is not made when it is no longer wanted", async () => {
    const source = await openImageSource(await makeExt4());
    try {
      const wanted = new AbortController();
      wanted.abort();
      await expect(mapExtents(source, { signal: wanted.signal })).rejects.toThrow(AbortedError);
    } finally {
      await source.close();
    }
  });

  itWith(["mkfs.ext4"], "is not guessed when the disk cannot be read, wherever that is", async () => {
    const source = await openImageSource(await makeExt4());
    try {
      let reads = 0;
      const counting = failingAt(source, () => reads++ < 0);
      await mapExtents(counting);
      expect(reads).toBeGreaterThan(5);
      for (let failing = 0; failing < reads; failing++) {
        let read = 0;
        await expect(mapExtents(failingAt(source, () => read++ === failing))).rejects.toThrow(
          "the disk is broken",
        );
      }
    } finally {
      await source.close();
    }
  });
});

/** The same disk, of which some reads fail. */
function failingAt(source: ImageSource, fails: () => boolean): ImageSource {
  return {
    path: source.path,
    format: source.format,
    sizeBytes: source.sizeBytes,
    identity: source.identity,
    read: async (into, offset) => {
      if (fails())
        throw new SpillwayError({ place: "here", problem: "the disk is broken", mend: "Replace it." });
      await source.read(into, offset);
    },
    allocated: () => source.allocated(),
    requireUnchanged: () => source.requireUnchanged(),
    close: () => source.close(),
  };
}
