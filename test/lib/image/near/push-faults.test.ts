import { readFileSync } from "node:fs";
import { join } from "node:path";
import { AbortedError, DeadlineError } from "../../../../lib/errors";
import { ImageStoreError } from "../../../../lib/image/errors";
import { openImageStore, type ImageStore } from "../../../../lib/image/far";
import { pushImage, type PushOptions } from "../../../../lib/image/near";
import type { ImageTarget } from "../../../../lib/image/wire";
import { sleep } from "../../../../lib/wait";
import { bytesOf, listening, mixedImage, scratch, writeOld } from "../support/images";

const MB = 1_000_000;
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
    openTransfer: (...args) => store.openTransfer(...args),
    putSegment: (...args) => store.putSegment(...args),
    completeTransfer: (...args) => store.completeTransfer(...args),
    fetchIndex: (...args) => store.fetchIndex(...args),
    pinEstimate: (...args) => store.pinEstimate(...args),
    ...faults,
  };
}

describe("a push", () => {
  it("stops at once when aborted, and a later one sends only the rest", async () => {
    const bytes = bytesOf(9, 24 * MB);
    const source = file(bytes);
    const abort = new AbortController();
    let taken = 0;
    const target = behind({
      putSegment: async (id, segmentId, segment, options) => {
        const answer = await store.putSegment(id, segmentId, segment);
        if (++taken === 3) abort.abort();
        if (taken >= 3) await sleep(60_000, options?.signal);
        return answer;
      },
    });
    const started = Date.now();
    await expect(push(source, { target, context: listening(abort.signal) })).rejects.toThrow(AbortedError);
    expect(Date.now() - started).toBeLessThan(6_000);
    const rest = await push(source);
    expect(rest.presentBytes).toBeGreaterThanOrEqual(8 * MB);
    expect(readFileSync(store.path(rest.digest)).equals(bytes)).toBe(true);
  });

  it("tries again after trouble on the way", async () => {
    let tries = 0;
    const target = behind({
      putSegment: (...args) =>
        ++tries % 3 === 0
          ? store.putSegment(...args)
          : Promise.reject(Object.assign(new Error("the connection broke"), { code: "unreachable" })),
      completeTransfer: (...args) =>
        ++tries % 2 === 0 ? Promise.reject(new Error("socket hang up")) : store.completeTransfer(...args),
    });
    const bytes = mixedImage(11);
    const { digest } = await push(file(bytes), { target });
    expect(readFileSync(store.path(digest)).equals(bytes)).toBe(true);
    expect(tries).toBeGreaterThanOrEqual(4);
  });

  it("gives up when nothing was taken for as long as its patience lasts, and names what failed last", async () => {
    const target = behind({ putSegment: () => Promise.reject(new Error("nothing listens there")) });
    const failed = push(file(mixedImage(12)), { target, patienceMs: 500, subject: "cloud/shop" });
    await expect(failed).rejects.toThrow(DeadlineError);
    await expect(failed).rejects.toThrow(/; the last failure: nothing listens there \(at cloud\/shop\)/);
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
      const sent = push(file(bytesOf(13, 12 * MB)), { target, streams: { start: 2, max: 2 } });
      await expect(sent).rejects.toBe(refusal);
      expect(tries).toBeLessThanOrEqual(2);
    },
  );

  it("gives up on a site that calls every image corrupt", async () => {
    let opened = 0;
    const refusal = new ImageStoreError("image-corrupt", { place: "there", problem: "no", mend: "Mend it." });
    const target = behind({
      openTransfer: (...args) => {
        opened++;
        return store.openTransfer(...args);
      },
      completeTransfer: () => Promise.reject(refusal),
    });
    await expect(push(file(mixedImage(15)), { target })).rejects.toBe(refusal);
    expect(opened).toBeGreaterThan(1);
    expect(opened).toBeLessThanOrEqual(5);
  });

  it("does not believe a site that says complete for another image", async () => {
    const target = behind({
      completeTransfer: async (...args) => ({
        ...(await store.completeTransfer(...args)),
        digest: `sha256:${"0".repeat(64)}`,
      }),
    });
    await expect(push(file(mixedImage(17)), { target })).rejects.toThrow(
      "the far side's answer makes no sense",
    );
  });

  it("uses more streams when they bring more, and never more than it may", async () => {
    let [present, most] = [0, 0];
    const target = behind({
      putSegment: async (...args) => {
        most = Math.max(most, ++present);
        await sleep(150);
        present--;
        return store.putSegment(...args);
      },
    });
    await push(file(bytesOf(18, 60 * MB)), { target, streams: { start: 2, max: 3 } });
    expect(most).toBeGreaterThanOrEqual(2);
    expect(most).toBeLessThanOrEqual(3);
  });
});

describe("a source that is wrong", () => {
  it.each([
    ["is missing", () => join(directory.path, "none.img"), 'there is no image file "'],
    ["is a directory", () => directory.path, "is a directory"],
    ["is empty", () => file(Buffer.alloc(0)), "is empty"],
    ["is a device", () => "/dev/null", /\/dev\/null/],
  ])("is told when it %s", async (_what, source, problem) => {
    const path = source();
    const failed = push(path);
    await expect(failed).rejects.toThrow(problem);
    await expect(failed).rejects.toMatchObject({ report: { place: path, attribute: ["source"] } });
  });

  it("is refused for a digest that is none, before it is read", async () => {
    await expect(push(file(mixedImage(20)), { digest: "md5:1234" })).rejects.toThrow(
      '"md5:1234" is not an image digest',
    );
    expect(await store.list()).toEqual([]);
  });
});
