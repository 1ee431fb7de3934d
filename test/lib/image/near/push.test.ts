import { appendFileSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openImageStore, type ImageStore } from "../../../../lib/image/far";
import { estimateTransfer, indexImage, pushImage, type PushOptions } from "../../../../lib/image/near";
import { ImageStoreError } from "../../../../lib/image/errors";
import { sleep } from "../../../../lib/wait";
import { bytesOf, listening, mixedImage, scratch, writeOld } from "../support/images";

const MB = 1_000_000;

describe("pushing an image into a store", () => {
  let home: ReturnType<typeof scratch>;
  let store: ImageStore;
  let cacheDirectory: string;

  beforeEach(async () => {
    home = scratch();
    cacheDirectory = join(home.path, "cache");
    store = await openImageStore({ directory: join(home.path, "far"), site: "cloud" });
  });
  afterEach(async () => {
    await store.close();
    home.remove();
  });

  const push = (source: string, options: Partial<PushOptions> = {}) =>
    pushImage({ source, target: store, context: listening(), cacheDirectory, ...options });
  /** What was only just written is not remembered: it might be written again within the same tick of the clock. */
  const file = async (name: string, bytes: Uint8Array) => {
    const path = writeOld(join(home.path, name), bytes);
    await sleep(80);
    return path;
  };
  const held = (digest: string) => readFileSync(store.path(digest));

  it("brings it there as it is, in fewer bytes than it has", async () => {
    const image = mixedImage(1, 3 * MB);
    const source = await file("one.img", image);
    const { digest, sizeBytes, sentBytes } = await push(source);
    expect(held(digest).equals(image)).toBe(true);
    expect(sizeBytes).toBe(image.length);
    expect(sentBytes).toBeLessThan(image.length - 290_000);
    expect(digest).toBe((await indexImage({ source, cacheDirectory })).digest);
  });

  it("sends nothing the second time", async () => {
    const source = await file("one.img", mixedImage(1, MB));
    const first = await push(source);
    const second = await push(source);
    expect(second).toMatchObject({ digest: first.digest, sentBytes: 0, segments: 0 });
    const copy = await file("copy.img", readFileSync(source));
    expect((await push(copy)).digest).toBe(first.digest);
  });

  it.each([
    ["with the old version's file at hand", true],
    ["with only the far side's index of it", false],
  ])("sends of a new version only what is new, %s", async (_, isAtHand) => {
    const old = mixedImage(1, 4 * MB);
    const source = await file("old.img", old);
    await push(source);
    if (!isAtHand) {
      rmSync(cacheDirectory, { recursive: true });
      rmSync(source);
    }
    const changed = Buffer.concat([
      old.subarray(0, 700_001),
      bytesOf(77, 20_000),
      old.subarray(700_001, 3 * MB),
      old.subarray(3 * MB + 5_000),
    ]);
    const { digest, sentBytes, presentBytes } = await push(await file("new.img", changed));
    expect(held(digest).equals(changed)).toBe(true);
    expect(sentBytes).toBeLessThan(isAtHand ? 24_000 : 120_000);
    expect(presentBytes).toBeGreaterThan(changed.length - 120_000);
  });

  it("brings images of any size there: less than a block, a block, and a little more", async () => {
    for (const bytes of [1, 4_095, 2 ** 20, 2 ** 20 + 1, 3 * 2 ** 20 - 7]) {
      const image = bytesOf(bytes, bytes);
      const { digest } = await push(await file(`${bytes}.img`, image));
      expect(held(digest).equals(image)).toBe(true);
    }
    const zeros = Buffer.alloc(3 * MB);
    const { digest, sentBytes } = await push(await file("zeros.img", zeros));
    expect(held(digest).equals(zeros)).toBe(true);
    expect(sentBytes).toBeLessThan(1_000);
  });

  it("goes on where it was cut off", async () => {
    const image = bytesOf(5, 24 * MB);
    const source = await file("one.img", image);
    const stop = new AbortController();
    let taken = 0;
    const target: ImageStore = {
      ...bound(store),
      putSegment: async (...args) => {
        const answer = await store.putSegment(...args);
        if (++taken === 3) stop.abort();
        return answer;
      },
    };
    await expect(push(source, { target, context: listening(stop.signal) })).rejects.toThrow(/stopped/);
    const { digest, sentBytes } = await push(source);
    expect(held(digest).equals(image)).toBe(true);
    expect(sentBytes).toBeLessThan(image.length - 2 * 4 * 2 ** 20);
  });

  it("sends the bytes themselves when what they would be copied from is damaged at the far side", async () => {
    const old = bytesOf(6, 3 * MB);
    const first = await push(await file("old.img", old));
    const path = store.path(first.digest);
    const damaged = readFileSync(path);
    damaged.fill(0x55, MB, MB + 100_000);
    rmSync(path);
    writeFileSync(path, damaged);
    const changed = Buffer.concat([bytesOf(7, 50_000), old]);
    const { digest } = await push(await file("new.img", changed));
    expect(held(digest).equals(changed)).toBe(true);
  });

  it("does without an image that is deleted at the far side while it is referred to", async () => {
    const old = bytesOf(8, 6 * MB);
    const first = await push(await file("old.img", old));
    let isDeleted = false;
    const target: ImageStore = {
      ...bound(store),
      putSegment: async (...args) => {
        if (!isDeleted) await store.delete(first.digest);
        isDeleted = true;
        return store.putSegment(...args);
      },
    };
    const changed = Buffer.concat([bytesOf(9, 50_000), old]);
    const { digest } = await push(await file("new.img", changed), { target });
    expect(held(digest).equals(changed)).toBe(true);
  });

  it("opens its transfer again when the far side has forgotten it", async () => {
    const image = bytesOf(10, 9 * MB);
    let calls = 0;
    const target: ImageStore = {
      ...bound(store),
      putSegment: async (...args) => {
        if (++calls === 2) {
          throw new ImageStoreError("not-found", { place: "a store", problem: "nothing", mend: "open it" });
        }
        return store.putSegment(...args);
      },
    };
    const { digest } = await push(await file("one.img", image), { target });
    expect(held(digest).equals(image)).toBe(true);
  });

  it("refuses a source that has not the digest asked for, read before or not, and sends nothing of it", async () => {
    const source = await file("one.img", bytesOf(11, MB));
    const digest = `sha256:${"0".repeat(64)}`;
    const calls: string[] = [];
    const target: ImageStore = {
      ...bound(store),
      openTransfer: (...args) => {
        calls.push("openTransfer");
        return store.openTransfer(...args);
      },
      putSegment: (...args) => {
        calls.push("putSegment");
        return store.putSegment(...args);
      },
    };
    await expect(push(source, { digest, target })).rejects.toThrow(
      /has the digest sha256:[0-9a-f]{64}, but sha256:0{64}/,
    );
    await expect(push(source, { digest, target })).rejects.toThrow(/spillway image index/);
    expect(calls).toEqual([]);
  });

  it("sends a source that was not read before when it has the digest asked for", async () => {
    const image = bytesOf(21, MB);
    const { digest } = await indexImage({
      source: await file("one.img", image),
      cacheDirectory: join(home.path, "elsewhere"),
    });
    // Only just written, so what is found out about it is used once, and not remembered.
    const fresh = join(home.path, "fresh.img");
    writeFileSync(fresh, image);
    expect(await push(fresh, { digest })).toMatchObject({ digest, sizeBytes: MB });
    expect(held(digest).equals(image)).toBe(true);
  });

  it("finds out when the source is changed while it is sent", async () => {
    const source = await file("one.img", bytesOf(12, 9 * MB));
    const target: ImageStore = {
      ...bound(store),
      putSegment: async (...args) => {
        appendFileSync(source, "more");
        return store.putSegment(...args);
      },
    };
    await expect(push(source, { target })).rejects.toThrow(/was changed while it was being read/);
    truncateSync(source, 9 * MB);
    const { digest } = await push(source);
    expect(held(digest).equals(bytesOf(12, 9 * MB))).toBe(true);
  });

  it("gets along with another push of the same image", async () => {
    const image = mixedImage(13, 9 * MB);
    const source = await file("one.img", image);
    const [one, other] = await Promise.all([push(source), push(source)]);
    expect(one.digest).toBe(other.digest);
    expect(held(one.digest).equals(image)).toBe(true);
  });

  it("sends again what arrived wrong, and gives up when it always does", async () => {
    const image = bytesOf(14, 5 * MB);
    let flips = 0;
    const flipping = (most: number): ImageStore => ({
      ...bound(store),
      putSegment: (id, segmentId, bytes, options) => {
        if (++flips > most) return store.putSegment(id, segmentId, bytes, options);
        const wrong = Buffer.from(bytes);
        wrong[Math.floor(wrong.length / 2)] ^= 4;
        return store.putSegment(id, segmentId, wrong, options);
      },
    });
    const { digest } = await push(await file("one.img", image), { target: flipping(3) });
    expect(held(digest).equals(image)).toBe(true);
    flips = 0;
    const other = push(await file("two.img", bytesOf(15, MB)), { target: flipping(Infinity) });
    await expect(other).rejects.toThrow(/checksum does not match/);
  });

  it("estimates what it would send, changes nothing by that, and says the same again", async () => {
    const old = bytesOf(16, 4 * MB);
    const source = await file("old.img", old);
    const options = { target: store, context: listening(), cacheDirectory };
    const cold = await estimateTransfer({ ...options, source });
    expect(cold.estimate).toMatchObject({ totalBytes: 4 * MB, inUseBytes: 4 * MB, sendBytes: 4 * MB });
    expect(await store.list()).toEqual([]);
    await push(source);
    expect((await estimateTransfer({ ...options, source })).estimate).toEqual(cold.estimate);
    const now = await estimateTransfer({ ...options, source, pin: false });
    expect(now.estimate).toMatchObject({ presentBytes: 4 * MB, sendBytes: 0, etaMs: 0 });
    const changed = await file(
      "new.img",
      Buffer.concat([old.subarray(0, MB), bytesOf(17, 100_000), old.subarray(MB)]),
    );
    const warm = await estimateTransfer({ ...options, source: changed });
    expect(warm.estimate.sendBytes).toBeGreaterThan(99_000);
    expect(warm.estimate.sendBytes).toBeLessThan(200_000);
    expect(await estimateTransfer({ ...options, source: changed })).toEqual(warm);
  });

  it("tells how far it is, in bytes and time left", async () => {
    const context = listening();
    await push(await file("one.img", bytesOf(18, 40 * MB)), {
      context,
      bandwidth: [{ capBps: "none" }],
      target: { ...bound(store), putSegment: async (...args) => slowly(() => store.putSegment(...args)) },
    });
    const sending = context.said.filter(({ message }) =>
      /sent .* at .* Mbit\/s over \d+ streams/.test(message),
    );
    expect(sending.length).toBeGreaterThan(0);
    expect(sending.some(({ fraction, etaMs }) => (fraction ?? 0) > 0 && etaMs !== undefined)).toBe(true);
    expect(context.said.every(({ step }) => step === "transfer")).toBe(true);
  });
});

async function slowly<T>(work: () => Promise<T>): Promise<T> {
  await sleep(250);
  return work();
}

/** A store whose methods can be replaced one by one. */
function bound(store: ImageStore): ImageStore {
  const names = ["openTransfer", "putSegment", "completeTransfer", "fetchIndex", "pinEstimate"] as const;
  const methods = Object.fromEntries(names.map((name) => [name, store[name].bind(store)]));
  return Object.assign(Object.create(store) as ImageStore, methods);
}
