import { join } from "node:path";
import { ImageStoreError } from "../../../../lib/image/errors";
import { openImageStore } from "../../../../lib/image/far";
import { Acknowledged } from "../../../../lib/image/near/acknowledged";
import { BlockPlanner } from "../../../../lib/image/near/block-planner";
import { scanBlocks, type Block } from "../../../../lib/image/near/blocks";
import { CanonicalImage } from "../../../../lib/image/near/canonical-image";
import { ImageCache } from "../../../../lib/image/near/image-cache";
import { KnownImages } from "../../../../lib/image/near/known-images";
import { Packer } from "../../../../lib/image/near/packer";
import { Retry } from "../../../../lib/image/near/retry";
import { segmentBytes, Sender } from "../../../../lib/image/near/sender";
import { IndexWriter } from "../../../../lib/image/wire/index-writer";
import { bytesOf, scratch, writeOld } from "../support/images";

const MIB = 2 ** 20;
const ID = "ab".repeat(32);

describe("sending", () => {
  const home = scratch();
  afterAll(home.remove);

  it.each(["refused", "aborted"])(
    "ends at once when it is %s, also for streams that wait for a slow disk",
    async (how) => {
      const store = await openImageStore({ directory: join(home.path, how), site: "cloud" });
      const source = writeOld(join(home.path, `${how}.img`), bytesOf(1, 4 * MIB));
      const image = await CanonicalImage.open({ source });
      const cache = new ImageCache(join(home.path, "cache"));
      const known = await KnownImages.load({ images: [], image, cache, target: store, withBytes: true });
      const writer = await IndexWriter.create(join(home.path, `${how}.index`), image.sizeBytes);
      const acknowledged = new Acknowledged(image.blockCount);
      const abort = new AbortController();
      let goOn = () => {};
      const slowDisk = new Promise<void>((resolve) => (goOn = resolve));
      async function* blocks(): AsyncGenerator<Block, string> {
        yield* scanBlocks(image, writer);
        await slowDisk;
        return "";
      }
      const refusal = new ImageStoreError("invalid", { place: "there", problem: "no", mend: "Mend it." });
      const target = Object.assign(Object.create(store) as typeof store, {
        putSegment: async () => {
          if (how === "aborted") abort.abort();
          throw refusal;
        },
      });
      const { signal } = abort;
      const retry = new Retry({ place: "there", signal, patienceMs: 60_000, onTrouble: () => {} });
      const sender = new Sender({
        ...{ id: ID, target, image, known, acknowledged, retry, signal, bandwidth: [] },
        streams: { start: 4, max: 4 },
        reopen: () => store.openTransfer(ID, { sizeBytes: image.sizeBytes }),
        onSent: () => {},
      });
      const packer = new Packer({
        blocks: blocks(),
        skip: () => false,
        planner: new BlockPlanner(known, acknowledged),
        literalBytes: () => segmentBytes(4),
        onScanned: () => {},
        isLinkIdle: () => false,
      });
      try {
        await expect(sender.run(packer)).rejects.toThrow(how === "aborted" ? /stopped/ : /^no/);
      } finally {
        goOn();
        await packer.stop();
        await writer.discard();
        await known.close();
        await image.close();
        await store.close();
      }
    },
    10_000,
  );

  it("makes smaller segments under a low cap, so that each is on its way for five seconds at most", () => {
    expect(segmentBytes(4)).toBe(2 * MIB);
    expect(segmentBytes(4, 1_000_000_000)).toBe(2 * MIB);
    for (const bps of [1_000_000, 2_000_000, 8_000_000]) {
      expect((segmentBytes(4, bps) * 4 * 8) / bps).toBeLessThanOrEqual(5);
      expect((segmentBytes(4, bps) * 4 * 8) / bps).toBeGreaterThan(1);
    }
    expect(segmentBytes(64, 1)).toBe(16 * 1024);
    expect(segmentBytes(4, 0)).toBe(2 * MIB);
  });
});
