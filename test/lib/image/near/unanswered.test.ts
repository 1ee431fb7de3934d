import { join } from "node:path";
import { ImageStoreError } from "../../../../lib/image/errors";
import { openImageStore, type ImageStore } from "../../../../lib/image/far";
import { pushImage } from "../../../../lib/image/near";
import type { ImageTarget } from "../../../../lib/image/wire/target";
import { sleep } from "../../../../lib/wait";
import { bytesOf, listening, scratch, writeOld } from "../support/images";

const MIB = 2 ** 20;

describe("a far side whose disk takes its time", () => {
  const home = scratch();
  let store: ImageStore;
  beforeAll(async () => {
    store = await openImageStore({ directory: join(home.path, "far"), site: "cloud" });
  });
  afterAll(async () => {
    await store.close();
    home.remove();
  });

  /** It has a segment at once, and answers as `answer` says. */
  function targetThat(answer: (number: number) => Promise<void>) {
    let [number, unanswered, most] = [0, 0, 0];
    const putSegment: ImageTarget["putSegment"] = async (id, segmentId, bytes, options) => {
      most = Math.max(most, ++unanswered);
      options?.onHandedOver?.();
      try {
        await answer(number++);
        return await store.putSegment(id, segmentId, bytes, options);
      } finally {
        unanswered--;
      }
    };
    const target = Object.assign(Object.create(store) as ImageStore, { putSegment });
    return { target, most: () => most };
  }

  const push = (source: string, target: ImageTarget) =>
    pushImage({
      ...{ source, target, context: listening(), cacheDirectory: join(home.path, "cache") },
      ...{ streams: { start: 1, max: 1 }, patienceMs: 5_000 },
    });

  it("does not stop the stream, up to eight answers that are waited for", async () => {
    const source = writeOld(join(home.path, "slow.img"), bytesOf(3, 24 * MIB));
    const { target, most } = targetThat(() => sleep(400));
    const started = Date.now();
    const { segments } = await push(source, target);
    expect(segments).toBeGreaterThanOrEqual(12);
    expect(Date.now() - started).toBeLessThan(segments * 400 * 0.6);
    expect(most()).toBeGreaterThan(2);
    expect(most()).toBeLessThanOrEqual(9);
  }, 20_000);

  it("is believed when it refuses later what it was handed", async () => {
    const source = writeOld(join(home.path, "refused.img"), bytesOf(4, 12 * MIB));
    const refusal = new ImageStoreError("invalid", { place: "there", problem: "no", mend: "Mend it." });
    const { target } = targetThat(async (number) => {
      await sleep(100);
      if (number === 2) throw refusal;
    });
    await expect(push(source, target)).rejects.toThrow(/^no/);
  }, 20_000);
});
