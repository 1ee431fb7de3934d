import { appendFileSync, openSync, readFileSync, writeSync, closeSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { AbortedError, DeadlineError } from "../../../lib/errors";
import {
  estimateTransfer,
  ImageStoreError,
  openImageStore,
  pushImage,
  type ImageStore,
  type ImageTarget,
  type PushOptions,
} from "../../../lib/image";
import { sleep } from "../../../lib/wait";
import { bytesOf, listening, mixedImage, scratch, writeOld } from "./support/images";

const directory = scratch();
const cacheDirectory = join(directory.path, "cache");
let store: ImageStore;
let number = 0;

beforeEach(async () => {
  store = await openImageStore({ directory: join(directory.path, `store-${++number}`), site: "cloud" });
});
afterEach(() => store.close());
afterAll(directory.remove);

const file = (bytes: Buffer) => writeOld(join(directory.path, `image-${++number}`), bytes);

function push(source: string, options: Partial<PushOptions> = {}) {
  return pushImage({ source, target: store, context: listening(), cacheDirectory, ...options });
}

/** The store behind a link on which these things happen. */
function behind(faults: Partial<ImageTarget>): ImageTarget {
  return {
    offer: (digest, index) => store.offer(digest, index),
    estimate: (digest, index) => store.estimate(digest, index),
    putSegment: (digest, id, segment) => store.putSegment(digest, id, segment),
    complete: (digest) => store.complete(digest),
    ...faults,
  };
}

describe("a push", () => {
  it("of any image ends with the same bytes at the site", async () => {
    const images = [
      Buffer.from("x"),
      Buffer.alloc(1),
      Buffer.alloc(50_000),
      Buffer.concat([Buffer.alloc(8_192), Buffer.from("end")]),
      Buffer.concat([Buffer.from("start"), Buffer.alloc(100_000)]),
      bytesOf(1, 1_023),
      bytesOf(2, 4_096),
      bytesOf(3, 3_000_001),
      mixedImage(4),
    ];
    for (const bytes of images) {
      const { digest, sizeBytes } = await push(file(bytes));
      expect(sizeBytes).toBe(bytes.length);
      expect(readFileSync(store.path(digest)).equals(bytes)).toBe(true);
    }
  });

  it("of an image that is there already sends its index and nothing more", async () => {
    const source = file(mixedImage(5));
    await push(source);
    const again = await push(source);
    expect(again).toMatchObject({ segments: 0, presentBytes: again.sizeBytes });
  });

  it("twice at once is fine for both", async () => {
    const bytes = mixedImage(6, 3_000_000);
    const source = file(bytes);
    const [one, other] = await Promise.all([push(source), push(source)]);
    expect(one.digest).toBe(other.digest);
    expect(readFileSync(store.path(one.digest)).equals(bytes)).toBe(true);
  });

  it("says how far it is, with a fraction and an ETA, at most twice a second", async () => {
    const context = listening();
    const slow = behind({
      putSegment: async (digest, id, segment) => {
        await sleep(150);
        return store.putSegment(digest, id, segment);
      },
    });
    const started = Date.now();
    await push(file(bytesOf(7, 12_000_000)), {
      context,
      target: slow,
      streams: { start: 1, max: 1 },
      subject: "cloud/shop",
    });
    const elapsed = Date.now() - started;
    expect(context.said.length).toBeGreaterThanOrEqual(2);
    expect(context.said.length).toBeLessThanOrEqual(elapsed / 500 + 1);
    expect(context.said[0]).toMatchObject({
      step: "transfer",
      subject: "cloud/shop",
      message: expect.stringMatching(/^indexing: /),
    });
    const sending = context.said.filter((progress) => progress.message.startsWith("sent "));
    expect(sending.at(-1)).toMatchObject({ fraction: expect.any(Number), etaMs: expect.any(Number) });
    for (const { fraction } of context.said) {
      if (fraction !== undefined) expect(fraction >= 0 && fraction <= 1).toBe(true);
    }
  });

  it("keeps under a bandwidth cap", async () => {
    const started = Date.now();
    const { sentBytes } = await push(file(bytesOf(8, 1_500_000)), { capBytesPerSecond: 1_000_000 });
    const seconds = (Date.now() - started) / 1_000;
    // The first segment goes at once; what follows is spread.
    expect((sentBytes - 600_000) / seconds).toBeLessThan(1_000_000);
    expect(seconds).toBeLessThan(15);
  });

  it("stops at once when aborted, and a later one sends only the rest", async () => {
    const bytes = bytesOf(9, 12_000_000);
    const source = file(bytes);
    const abort = new AbortController();
    let taken = 0;
    const target = behind({
      putSegment: async (digest, id, segment, options) => {
        const answer = await store.putSegment(digest, id, segment);
        if (++taken === 3) abort.abort();
        if (taken >= 3) await sleep(60_000, options?.signal);
        return answer;
      },
    });
    const started = Date.now();
    await expect(push(source, { target, context: listening(abort.signal) })).rejects.toThrow(AbortedError);
    expect(Date.now() - started).toBeLessThan(3_000);
    const rest = await push(source);
    expect(rest.presentBytes).toBeGreaterThanOrEqual(3_000_000);
    expect(readFileSync(store.path(rest.digest)).equals(bytes)).toBe(true);
  });

  it("stops while it indexes when aborted", async () => {
    const abort = new AbortController();
    const context = { signal: abort.signal, progress: () => abort.abort() };
    await expect(push(file(bytesOf(10, 5_000_000)), { context })).rejects.toThrow(AbortedError);
  });

  it("tries a segment again after trouble on the way, and says so", async () => {
    const context = listening();
    let tries = 0;
    const target = behind({
      putSegment: async (digest, id, segment) => {
        if (++tries % 3 !== 0)
          throw Object.assign(new Error("the connection broke (ECONNRESET)"), { code: "unreachable" });
        return store.putSegment(digest, id, segment);
      },
      complete: async (digest) => {
        if (++tries % 2 === 0) throw new Error("socket hang up");
        return store.complete(digest);
      },
    });
    const bytes = mixedImage(11);
    const { digest } = await push(file(bytes), { target, context });
    expect(readFileSync(store.path(digest)).equals(bytes)).toBe(true);
    expect(
      context.said.some((progress) => /trying again in .*: the connection broke/.test(progress.message)),
    ).toBe(true);
  });

  it("gives up when nothing was taken for as long as its patience lasts, and names what failed last", async () => {
    const target = behind({ putSegment: () => Promise.reject(new Error("nothing listens there")) });
    const failed = push(file(mixedImage(12)), { target, patienceMs: 500, subject: "cloud/shop" });
    await expect(failed).rejects.toThrow(DeadlineError);
    await expect(failed).rejects.toThrow(
      /the site took nothing for .*; the last failure: nothing listens there \(at cloud\/shop\)/,
    );
  });

  it.each(["disk-full", "too-large", "invalid"] as const)(
    "ends at once with the site's own error when it is %s",
    async (code) => {
      let tries = 0;
      const refusal = new ImageStoreError(code, { place: "there", problem: "no", mend: "Mend it." });
      const target = behind({
        putSegment: () => {
          tries++;
          return Promise.reject(refusal);
        },
      });
      await expect(push(file(bytesOf(13, 3_000_000)), { target, streams: { start: 2 } })).rejects.toBe(
        refusal,
      );
      expect(tries).toBeLessThanOrEqual(2);
    },
  );

  it("offers again when the site has lost the image meanwhile", async () => {
    const bytes = mixedImage(14, 3_000_000);
    let taken = 0;
    const target = behind({
      putSegment: async (digest, id, segment) => {
        if (++taken === 2) await store.delete(digest);
        return store.putSegment(digest, id, segment);
      },
    });
    const { digest } = await push(file(bytes), { target });
    expect(readFileSync(store.path(digest)).equals(bytes)).toBe(true);
  });

  it("gives up on a site that calls every image corrupt, after four offers", async () => {
    let offers = 0;
    const refusal = new ImageStoreError("image-corrupt", { place: "there", problem: "no", mend: "Mend it." });
    const target = behind({
      offer: (digest, index) => {
        offers++;
        return store.offer(digest, index);
      },
      complete: () => Promise.reject(refusal),
    });
    await expect(push(file(mixedImage(15)), { target })).rejects.toBe(refusal);
    expect(offers).toBe(4);
  });

  it.each([
    ["chunks that are not in the index", [[5, 1_000_000]]],
    [
      "chunks out of order",
      [
        [5, 1],
        [4, 1],
      ],
    ],
    ["half a chunk", [[0.5, 1]]],
  ])("refuses a site that asks for %s", async (_what, missing) => {
    const target = behind({
      offer: async (digest, index) => ({
        ...(await store.offer(digest, index)),
        missing: missing as [number, number][],
      }),
    });
    await expect(push(file(mixedImage(16)), { target })).rejects.toThrow("the site's answer makes no sense");
  });

  it("does not believe a site that says complete for another image", async () => {
    const target = behind({
      complete: async (digest) => ({ ...(await store.complete(digest)), digest: `sha256:${"0".repeat(64)}` }),
    });
    await expect(push(file(mixedImage(17)), { target })).rejects.toThrow("the site's answer makes no sense");
  });

  it("more streams are used when they bring more", async () => {
    let [present, most] = [0, 0];
    const target = behind({
      putSegment: async (digest, id, segment) => {
        most = Math.max(most, ++present);
        await sleep(120);
        present--;
        return store.putSegment(digest, id, segment);
      },
    });
    await push(file(bytesOf(18, 90_000_000, "text")), { target, streams: { start: 2, max: 8 } });
    expect(most).toBeGreaterThan(2);
    expect(most).toBeLessThanOrEqual(8);
  });
});

describe("a push of a source that is wrong", () => {
  it.each([
    ["is missing", () => join(directory.path, "none.img"), 'there is no image file "'],
    ["is a directory", () => directory.path, "is a directory"],
    ["is empty", () => file(Buffer.alloc(0)), "is empty"],
    ["is a device", () => "/dev/null", "is not a regular file"],
  ])("says so when it %s", async (_what, source, problem) => {
    const path = source();
    const failed = push(path);
    await expect(failed).rejects.toThrow(problem);
    await expect(failed).rejects.toMatchObject({ report: { place: path, attribute: ["source"] } });
  });

  it("names both digests when it has another than was asked for, and sends nothing", async () => {
    const wanted = `sha256:${"12".repeat(32)}`;
    await expect(push(file(mixedImage(20)), { digest: wanted })).rejects.toThrow(
      `but ${wanted} was asked for`,
    );
    await expect(push(file(mixedImage(20)), { digest: "md5:1234" })).rejects.toThrow(
      '"md5:1234" is not an image digest',
    );
    expect(await store.list()).toEqual([]);
  });

  it.each([
    [
      "changed",
      (path: string) => {
        const handle = openSync(path, "r+");
        writeSync(handle, Buffer.from("changed"), 0, 7, 11_000_000);
        closeSync(handle);
      },
      /was changed while it was being sent, at offset 1\d{7} /,
    ],
    [
      "cut",
      (path: string) => writeOld(path, bytesOf(21, 5_000_000)),
      /was changed while it was being sent: it ends at offset \d+ now/,
    ],
  ])("finds out when it is %s while it is being sent", async (_what, change, problem) => {
    const source = file(bytesOf(21, 12_000_000));
    let taken = 0;
    const target = behind({
      putSegment: (digest, id, segment) => {
        if (++taken === 1) change(source);
        return store.putSegment(digest, id, segment);
      },
    });
    await expect(push(source, { target, streams: { start: 1, max: 1 } })).rejects.toThrow(problem);
  });

  it("finds out when it grows while it is being indexed", async () => {
    const source = file(bytesOf(22, 5_000_000));
    let once = true;
    const context = {
      signal: new AbortController().signal,
      progress: () => {
        if (once) appendFileSync(source, "more");
        once = false;
      },
    };
    await expect(push(source, { context })).rejects.toThrow("was changed while it was being indexed");
  });

  it("is not deceived by a kept index when the bytes change but size and mtime do not", async () => {
    const bytes = bytesOf(23, 500_000);
    const source = file(bytes);
    const before = await push(source);
    bytes[1_000] ^= 1;
    writeOld(source, bytes);
    const stamp = new Date(Date.now() - 60_000);
    utimesSync(source, stamp, stamp);
    const after = await push(source);
    expect(after.digest).not.toBe(before.digest);
    expect(readFileSync(store.path(after.digest)).equals(bytes)).toBe(true);
  });
});

describe("an estimate of a transfer", () => {
  it("tells digest, size and what would be sent", async () => {
    const bytes = mixedImage(24);
    const source = file(bytes);
    const preview = await estimateTransfer({ source, target: store, cacheDirectory });
    expect(preview).toMatchObject({ sizeBytes: bytes.length, estimate: { totalBytes: bytes.length } });
    const result = await push(source);
    expect(result.digest).toBe(preview.digest);
    expect(result.presentBytes).toBe(preview.estimate.presentBytes);
  });
});
