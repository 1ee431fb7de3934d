import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { chunkBlock } from "../../../../lib/image/chunking";
import { AbortedError } from "../../../../lib/errors";
import { openImageStore, type ImageStore } from "../../../../lib/image/far";
import { estimateTransfer, indexImage, pushImage, type PushOptions } from "../../../../lib/image/near";
import { CanonicalImage } from "../../../../lib/image/near/canonical-image";
import { ImageCache } from "../../../../lib/image/near/image-cache";
import { KnownImages, type LoadOptions } from "../../../../lib/image/near/known-images";
import { BLOCK_BYTES } from "../../../../lib/image/wire/digest";
import type { ImageTarget, TakePiece, TargetCallOptions } from "../../../../lib/image/wire/target";
import { sleep } from "../../../../lib/wait";
import { bytesOf, listening, scratch, writeOld } from "../support/images";
import { writeLyingIndex } from "../support/lying-index";

const SIZE = 3 * BLOCK_BYTES;
let home: ReturnType<typeof scratch>;
let cacheDirectory: string;
let number = 0;

beforeEach(() => {
  home = scratch();
  cacheDirectory = join(home.path, "cache");
});
afterEach(() => home.remove());

const file = async (bytes: Uint8Array) => {
  const path = writeOld(join(home.path, `image-${++number}`), bytes);
  // What was only just written is not remembered.
  await sleep(80);
  return path;
};

/** Indexes of noise, by their digests, and the images that they are of. */
async function indexesOf(seeds: readonly number[]) {
  const made = new Map<string, { readonly image: Buffer; readonly index: Buffer }>();
  for (const seed of seeds) {
    const image = bytesOf(seed, BLOCK_BYTES);
    const path = join(home.path, `index-${seed}`);
    made.set(await writeLyingIndex(path, image, image), { image, index: readFileSync(path) });
  }
  return made;
}

/** Node's types have none of it. */
const { WebAssembly: webAssembly } = globalThis as unknown as {
  readonly WebAssembly: { Memory: new (limits: object) => object };
};

type Fetch = (digest: string, take: TakePiece, options?: TargetCallOptions) => Promise<boolean>;
/** A far side of which nothing but its indexes matters. */
const targetOf = (fetchIndex: Fetch) => ({ fetchIndex }) as unknown as ImageTarget;
const isKnown = (known: KnownImages, image: Buffer) => {
  const [low, high] = chunkBlock(image).keys;
  return known.table.find(low, high) >= 0;
};

describe("what the far side holds, where it has to be asked", () => {
  let image: CanonicalImage;
  let cache: ImageCache;
  const opened: KnownImages[] = [];
  beforeEach(async () => {
    image = await CanonicalImage.open({ source: await file(bytesOf(1, SIZE)) });
    cache = new ImageCache(cacheDirectory);
  });
  afterEach(async () => {
    for (const known of opened.splice(0)) await known.close();
    await image.close();
  });
  async function load(options: Pick<LoadOptions, "images" | "target"> & Partial<LoadOptions>) {
    const known = await KnownImages.load({ image, cache, targetName: "cloud", withBytes: true, ...options });
    opened.push(known);
    return known;
  }

  it("is asked four at a time, the most useful first, and says how far it is", async () => {
    const made = await indexesOf([11, 12, 13, 14, 15, 16]);
    const asked: string[] = [];
    let [now, most] = [0, 0];
    const target = targetOf(async (digest, take) => {
      asked.push(digest);
      most = Math.max(most, ++now);
      await sleep(700);
      await take(made.get(digest)!.index);
      now--;
      return true;
    });
    const said: string[] = [];
    const images = [...made.keys()];
    const started = Date.now();
    const known = await load({ images, target, tell: (message) => said.push(message()) });
    expect(Date.now() - started).toBeLessThan(6 * 700);
    expect(most).toBe(4);
    expect(new Set(asked.slice(0, 4))).toEqual(new Set(images.slice(0, 4)));
    expect(new Set(asked)).toEqual(new Set(images));
    expect(said[0]).toBe("asking cloud what it holds: 0 of 6");
    expect(said).toContain("asking cloud what it holds: 4 of 6");
    for (const one of made.values()) expect(isKnown(known, one.image)).toBe(true);
    expect(images.map((_, i) => known.digestOf(i))).toEqual(images);
  });

  it("holds nobody up for longer than was said, and counts from when it comes", async () => {
    const made = await indexesOf([21, 22, 23, 24, 25, 26]);
    const [quick, slow, ...others] = [...made.keys()];
    const asked = new Set<string>();
    let goOn = () => {};
    const turn = new Promise<void>((resolve) => (goOn = resolve));
    const target = targetOf(async (digest, take) => {
      asked.add(digest);
      if (digest !== quick) await turn;
      await take(made.get(digest)!.index);
      return true;
    });
    const started = Date.now();
    const known = await load({ images: [slow, quick, slow, ...others], target, waitMs: 300 });
    expect(Date.now() - started).toBeLessThan(1_500);
    expect(isKnown(known, made.get(quick)!.image)).toBe(true);
    expect(isKnown(known, made.get(slow)!.image)).toBe(false);
    goOn();
    for (let i = 0; i < 100 && !isKnown(known, made.get(slow)!.image); i++) await sleep(20);
    expect(isKnown(known, made.get(slow)!.image)).toBe(true);
    const numbered = [0, 1, 2, 3, 4, 5].map((i) => known.digestOf(i));
    expect(numbered[0]).toBe(quick);
    expect(known.isUsable(numbered.indexOf(slow))).toBe(true);
    // Nothing more was begun after that: it is asked for the next time.
    expect(asked.size).toBe(5);
    expect(await cache.toldIndex(slow, "cloud")).toBeDefined();
  });

  it.each(["fails", "trickles and does not listen", "never answers"])(
    "is done without when the far side %s, and leaves nothing behind",
    async (how) => {
      const [[digest, { index }]] = await indexesOf([31]);
      let isOver = false;
      const target = targetOf(async (_digest, take) => {
        if (how === "fails") throw new Error("no");
        for (let at = 0; !isOver && how !== "never answers" && at < index.length; at++) {
          await take(index.subarray(at, at + 1)).catch(() => undefined);
          await sleep(5);
        }
        return new Promise<boolean>(() => undefined);
      });
      const known = await load({ images: [digest], target, waitMs: 200 });
      expect(known.digestOf(0)).toBeUndefined();
      const started = Date.now();
      await opened.pop()!.close();
      isOver = true;
      expect(Date.now() - started).toBeLessThan(500);
      expect(readdirSync(join(cacheDirectory, "drafts"))).toEqual([]);
    },
  );

  it("is asked again when the way to it breaks, also in the middle; not when it tells nonsense", async () => {
    const made = await indexesOf([35, 36]);
    const [broken, nonsense] = [...made.keys()];
    const asked: string[] = [];
    const target = targetOf(async (digest, take) => {
      const { index } = made.get(digest)!;
      asked.push(digest);
      const tries = asked.filter((one) => one === digest).length;
      if (digest === nonsense) await take(Buffer.alloc(100, 7));
      await take(index.subarray(0, 500));
      if (tries < 3) throw new Error("the connection broke");
      await take(index.subarray(500));
      return true;
    });
    const known = await load({ images: [broken, nonsense], target });
    expect(isKnown(known, made.get(broken)!.image)).toBe(true);
    expect(known.digestOf(1)).toBeUndefined();
    expect(asked.filter((one) => one === broken).length).toBe(3);
    expect(asked.filter((one) => one === nonsense).length).toBe(1);
  });

  it("is stopped at once", async () => {
    const [[digest]] = await indexesOf([41]);
    const stop = new AbortController();
    const target = targetOf(() => new Promise(() => undefined));
    setTimeout(() => stop.abort(), 100);
    const started = Date.now();
    await expect(load({ images: [digest], target, signal: stop.signal })).rejects.toBeInstanceOf(
      AbortedError,
    );
    expect(Date.now() - started).toBeLessThan(1_000);
    expect(readdirSync(join(cacheDirectory, "drafts"))).toEqual([]);
  });

  it("is asked again where the target has no name, and asked once where it has one", async () => {
    const [[digest, { index }]] = await indexesOf([51]);
    let asked = 0;
    const target = targetOf(async (_digest, take) => {
      asked++;
      await take(index);
      return true;
    });
    for (const targetName of ["", "", "cloud", "cloud", "cloud 2"]) {
      const known = await load({ images: [digest], target, targetName });
      expect(known.digestOf(0)).toBe(digest);
      await opened.pop()!.close();
    }
    expect(asked).toBe(4);
    expect(readdirSync(join(cacheDirectory, "drafts"))).toEqual([]);
    expect(readdirSync(join(cacheDirectory, "told")).length).toBe(2);
  });

  it("takes the memory for bytes only when bytes are looked at", async () => {
    const store = await openImageStore({ directory: join(home.path, "far"), site: "cloud" });
    const { Memory } = webAssembly;
    const memories = jest.spyOn(webAssembly, "Memory").mockImplementation((limits) => new Memory(limits));
    try {
      const options = { target: store, context: listening(), cacheDirectory };
      await estimateTransfer({ ...options, source: image.source.path });
      await store.close();
      const known = await load({ images: [], target: targetOf(() => Promise.resolve(false)) });
      expect(memories).not.toHaveBeenCalled();
      expect(known.delta.tableBytes).toBeGreaterThan(2 ** 20);
      expect(memories).toHaveBeenCalledTimes(1);
    } finally {
      memories.mockRestore();
    }
  });
});

describe("an index that a site told", () => {
  const stores: ImageStore[] = [];
  afterEach(async () => {
    for (const store of stores.splice(0)) await store.close();
  });
  const [old, claimed] = [bytesOf(61, SIZE), bytesOf(62, SIZE)];

  /** A site that holds the old image, and says that its chunks are others. */
  async function site(name: string, lie?: Buffer) {
    const store = await openImageStore({ directory: join(home.path, name), site: name });
    stores.push(store);
    const seen = { asked: 0, refused: 0 };
    const target: ImageTarget = {
      openTransfer: (...args) => store.openTransfer(...args),
      putSegment: (...args) =>
        store.putSegment(...args).catch((error: unknown) => {
          seen.refused++;
          throw error;
        }),
      completeTransfer: (...args) => store.completeTransfer(...args),
      fetchIndex: async (digest, take, options) => {
        seen.asked++;
        if (!lie) return store.fetchIndex(digest, take, options);
        await take(lie);
        return true;
      },
      pinEstimate: (...args) => store.pinEstimate(...args),
    };
    return { store, target, seen, name };
  }
  const push = (source: string, to: Awaited<ReturnType<typeof site>>, options: Partial<PushOptions> = {}) =>
    pushImage({
      ...{ source, target: to.target, targetName: to.name, context: listening(), cacheDirectory },
      ...options,
    });
  async function lie() {
    const path = join(home.path, `lie-${++number}`);
    await writeLyingIndex(path, old, claimed);
    return readFileSync(path);
  }

  it("counts for that site alone: another is asked itself", async () => {
    const [liar, honest] = [await site("liar", await lie()), await site("honest")];
    const elsewhere = { cacheDirectory: join(home.path, "elsewhere") };
    const oldFile = await file(old);
    for (const to of [liar, honest]) await push(oldFile, to, elsewhere);
    rmSync(oldFile);
    const source = await file(claimed);
    const first = await push(source, liar);
    // It is believed, found out, and the image is there all the same.
    expect(liar.seen).toMatchObject({ asked: 1 });
    expect(liar.seen.refused).toBeGreaterThan(0);
    expect(readFileSync(liar.store.path(first.digest)).equals(claimed)).toBe(true);
    const second = await push(source, honest);
    expect(honest.seen).toEqual({ asked: 1, refused: 0 });
    expect(readFileSync(honest.store.path(second.digest)).equals(claimed)).toBe(true);
  });

  it("is not even asked for where this side read the image itself", async () => {
    const liar = await site("liar", await lie());
    await push(await file(old), liar);
    const { digest } = await push(await file(claimed), liar);
    expect(liar.seen).toEqual({ asked: 0, refused: 0 });
    expect(readFileSync(liar.store.path(digest)).equals(claimed)).toBe(true);
  });

  it("gives way to what this side reads later", async () => {
    const liar = await site("liar", await lie());
    const oldFile = await file(old);
    await push(oldFile, liar, { cacheDirectory: join(home.path, "elsewhere") });
    await push(await file(bytesOf(63, BLOCK_BYTES)), liar);
    expect(liar.seen.asked).toBe(1);
    await indexImage({ source: oldFile, cacheDirectory });
    await push(await file(claimed), liar);
    expect(liar.seen).toEqual({ asked: 1, refused: 0 });
  });

  it("is never taken for what this side has read of its own file", async () => {
    const liar = await site("liar", await lie());
    const oldFile = await file(old);
    const { digest } = await push(oldFile, liar);
    rmSync(join(cacheDirectory, "scans"), { recursive: true });
    await push(await file(bytesOf(64, BLOCK_BYTES)), liar);
    expect(await new ImageCache(cacheDirectory).toldIndex(digest, liar.name)).toBeDefined();
    const again = await indexImage({ source: oldFile, cacheDirectory });
    expect(again).toMatchObject({ digest, fromCache: false });
    expect(existsSync(join(cacheDirectory, "scans"))).toBe(true);
  });

  it("makes up for the file of the old version, as far as chunks go", async () => {
    const honest = await site("honest");
    await push(await file(old), honest, { cacheDirectory: join(home.path, "elsewhere") });
    const changed = Buffer.concat([old.subarray(0, 700_001), bytesOf(65, 10_000), old.subarray(700_001)]);
    const { digest, sentBytes } = await push(await file(changed), honest);
    expect(honest.seen).toEqual({ asked: 1, refused: 0 });
    expect(sentBytes).toBeLessThan(60_000);
    expect(readFileSync(honest.store.path(digest)).equals(changed)).toBe(true);
  });
});
