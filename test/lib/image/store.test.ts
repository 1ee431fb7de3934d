import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
  closeSync,
  statSync,
} from "node:fs";
import { join } from "node:path";
import {
  encodeIndex,
  indexFile,
  openImageStore,
  pushImage,
  type ImageIndex,
  type ImageStore,
} from "../../../lib/image";
import { planSegments } from "../../../lib/image/segment-source";
import { encodeSegment } from "../../../lib/image/segment";
import { bytesOf, listening, mixedImage, scratch, writeOld } from "./support/images";

const directory = scratch();
const cacheDirectory = join(directory.path, "cache");
const opened: ImageStore[] = [];
let number = 0;

afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
});
afterAll(directory.remove);

const newDirectory = () => join(directory.path, `store-${++number}`);

async function storeIn(
  path = newDirectory(),
  usedBy?: (digest: string) => readonly string[],
  estimateHoldMs?: number,
): Promise<ImageStore> {
  const store = await openImageStore({ directory: path, site: "cloud", usedBy, estimateHoldMs });
  opened.push(store);
  return store;
}

function file(bytes: Buffer): string {
  return writeOld(join(directory.path, `image-${++number}`), bytes);
}

function push(store: ImageStore, source: string) {
  return pushImage({ source, target: store, context: listening(), cacheDirectory });
}

async function indexed(bytes: Buffer): Promise<{ index: ImageIndex; encoded: Buffer; digest: string }> {
  const { index } = await indexFile(file(bytes), { cacheDirectory });
  return { index, encoded: encodeIndex(index), digest: index.digest };
}

/** The segments of an image for what is missing. */
async function segmentsOf(
  bytes: Buffer,
  index: ImageIndex,
  missing: readonly (readonly [number, number])[],
  size = 100_000,
) {
  const segments: { id: string; bytes: Buffer }[] = [];
  for (const plan of planSegments(index, missing, () => size)) {
    const raw = Buffer.concat(
      plan.runs.map(([first, count]) => bytes.subarray(index.offsetOf(first), index.offsetOf(first + count))),
    );
    segments.push(await encodeSegment(index.digest, plan.runs, raw));
  }
  return segments;
}

function overwrite(path: string, offset: number, bytes: Buffer): void {
  chmodSync(path, 0o600);
  const handle = openSync(path, "r+");
  writeSync(handle, bytes, 0, bytes.length, offset);
  closeSync(handle);
}

const hex = (digest: string) => digest.slice("sha256:".length);

describe("the image store", () => {
  it("takes an image whole, verified, and read-only", async () => {
    const store = await storeIn();
    const bytes = mixedImage(1);
    const result = await push(store, file(bytes));
    expect(result.digest).toBe(`sha256:${createHash("sha256").update(bytes).digest("hex")}`);
    expect(readFileSync(store.path(result.digest)).equals(bytes)).toBe(true);
    expect(statSync(store.path(result.digest)).mode & 0o777).toBe(0o444);
    expect(await store.status(result.digest)).toMatchObject({
      complete: true,
      sizeBytes: bytes.length,
      presentBytes: bytes.length,
    });
  });

  it("asks for a repeated part once, and never for a hole", async () => {
    const store = await storeIn();
    const bytes = mixedImage(2);
    const { index, encoded, digest } = await indexed(bytes);
    const { missing, status } = await store.offer(digest, encoded);
    const asked = index.bytesOf(missing);
    expect(asked).toBeLessThan(bytes.length - 300_000 - 40_000);
    expect(status).toMatchObject({ complete: false, presentBytes: bytes.length - asked });
  });

  it("asks for a second version's new bytes only, and copies the rest from the first", async () => {
    const store = await storeIn();
    const first = mixedImage(3, 2_000_000);
    await push(store, file(first));
    const second = Buffer.concat([first.subarray(0, 700_000), bytesOf(99, 3_000), first.subarray(700_000)]);
    const result = await push(store, file(second));
    expect(result.sizeBytes - result.presentBytes).toBeLessThan(60_000);
    expect(result.sentBytes).toBeLessThan(100_000);
    expect(readFileSync(store.path(result.digest)).equals(second)).toBe(true);
  });

  it("goes on after it was closed in the middle, without asking again for what had come", async () => {
    const path = newDirectory();
    const bytes = mixedImage(4);
    const { index, encoded, digest } = await indexed(bytes);
    let store = await storeIn(path);
    const { missing } = await store.offer(digest, encoded);
    const segments = await segmentsOf(bytes, index, missing);
    const half = segments.slice(0, segments.length / 2);
    for (const segment of half) await store.putSegment(digest, segment.id, segment.bytes);
    const present = (await store.status(digest))?.presentBytes;
    await store.close();
    store = await storeIn(path);
    expect(await store.status(digest)).toMatchObject({ complete: false, presentBytes: present });
    const again = await store.offer(digest, encoded);
    expect(again.status.presentBytes).toBe(present);
    for (const segment of await segmentsOf(bytes, index, again.missing))
      await store.putSegment(digest, segment.id, segment.bytes);
    expect(await store.complete(digest)).toMatchObject({ complete: true, presentBytes: bytes.length });
    expect(readFileSync(store.path(digest)).equals(bytes)).toBe(true);
  });

  it("takes segments in any order, twice, and at once", async () => {
    const store = await storeIn();
    const bytes = mixedImage(5);
    const { index, encoded, digest } = await indexed(bytes);
    const { missing } = await store.offer(digest, encoded);
    const segments = (await segmentsOf(bytes, index, missing)).reverse();
    await Promise.all(
      [...segments, ...segments].map((segment) => store.putSegment(digest, segment.id, segment.bytes)),
    );
    const [one, other] = await Promise.all([store.complete(digest), store.complete(digest)]);
    expect(one).toEqual(other);
    expect(await store.putSegment(digest, segments[0].id, segments[0].bytes)).toEqual({
      presentBytes: bytes.length,
    });
    expect(await store.complete(digest)).toMatchObject({ complete: true });
  });

  it("refuses each of 200 random corruptions of a segment, names the segment, and keeps nothing of it", async () => {
    const store = await storeIn();
    const bytes = mixedImage(6);
    const { index, encoded, digest } = await indexed(bytes);
    const { missing, status } = await store.offer(digest, encoded);
    const [segment] = await segmentsOf(bytes, index, missing);
    let state = 12_345;
    for (let i = 0; i < 200; i++) {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      const changed = Buffer.from(segment.bytes);
      changed[state % changed.length] ^= 1 << (i % 8);
      const refused = store.putSegment(
        digest,
        segment.id,
        i % 3 === 0 ? changed.subarray(0, state % changed.length) : changed,
      );
      await expect(refused).rejects.toMatchObject({ code: "image-corrupt", status: 422 });
      await expect(refused).rejects.toThrow(segment.id);
    }
    expect((await store.status(digest))?.presentBytes).toBe(status.presentBytes);
  });

  it("refuses a well-made segment whose bytes are not the image's", async () => {
    const store = await storeIn();
    const bytes = mixedImage(7);
    const { index, encoded, digest } = await indexed(bytes);
    await store.offer(digest, encoded);
    const lie = Buffer.from(bytes.subarray(0, index.lengthOf(0) + index.lengthOf(1)));
    lie[index.lengthOf(0) + 5] ^= 1;
    const segment = await encodeSegment(digest, [[0, 2]], lie);
    await expect(store.putSegment(digest, segment.id, segment.bytes)).rejects.toThrow(
      `its bytes for offset ${index.offsetOf(1)} are not the image's`,
    );
    expect(await store.complete(digest).catch((error) => error.code)).toBe("image-incomplete");
  });

  it.each([
    ["outside the index", [[1_000_000, 1]]],
    ["far more chunks than there are", Array.from({ length: 16_000 }, () => [0, 100])],
    ["no chunk", [[0, 0]]],
  ] as const)("refuses a segment that names %s", async (_what, runs) => {
    const store = await storeIn();
    const { encoded, digest } = await indexed(mixedImage(8));
    await store.offer(digest, encoded);
    const segment = await encodeSegment(digest, runs as unknown as [number, number][], Buffer.alloc(50));
    await expect(store.putSegment(digest, segment.id, segment.bytes)).rejects.toThrow(
      "does not fit the index",
    );
  });

  it("refuses a segment of another image, and one under another's id", async () => {
    const store = await storeIn();
    const { encoded, digest } = await indexed(mixedImage(9));
    await store.offer(digest, encoded);
    const segment = await encodeSegment(`sha256:${"00".repeat(32)}`, [[0, 1]], Buffer.alloc(50));
    await expect(store.putSegment(digest, segment.id, segment.bytes)).rejects.toThrow(
      "it is a segment of image sha256:0000",
    );
    await expect(store.putSegment(digest, "f00", segment.bytes)).rejects.toThrow(
      `what arrived is segment ${segment.id}`,
    );
  });

  it("says not-found for an image that was never offered, and invalid for what is no digest", async () => {
    const store = await storeIn();
    const digest = `sha256:${"ab".repeat(32)}`;
    const segment = await encodeSegment(digest, [[0, 1]], Buffer.alloc(50));
    await expect(store.putSegment(digest, segment.id, segment.bytes)).rejects.toMatchObject({
      code: "not-found",
      status: 404,
    });
    await expect(store.complete(digest)).rejects.toMatchObject({ code: "not-found" });
    expect(await store.status(digest)).toBeUndefined();
    expect(() => store.path(digest)).toThrow(expect.objectContaining({ code: "image-missing" }));
    await expect(store.status("sha256:../../etc/passwd")).rejects.toMatchObject({
      code: "invalid",
      status: 400,
    });
    await store.delete(digest);
  });

  it("refuses an index under another digest, and a broken one", async () => {
    const store = await storeIn();
    const { encoded, digest } = await indexed(mixedImage(10));
    await expect(store.offer(`sha256:${"ab".repeat(32)}`, encoded)).rejects.toMatchObject({
      code: "invalid",
    });
    await expect(store.offer(digest, encoded.subarray(0, 500))).rejects.toMatchObject({
      code: "image-corrupt",
    });
    expect(await store.list()).toEqual([]);
  });

  it("drops everything when the index does not describe the image it claims to", async () => {
    const path = newDirectory();
    const store = await storeIn(path);
    const bytes = mixedImage(11);
    const { encoded, index } = await indexed(bytes);
    const lie = `sha256:${"ee".repeat(32)}`;
    Buffer.from("ee".repeat(32), "hex").copy(encoded, 16);
    createHash("sha256")
      .update(encoded.subarray(0, -32))
      .digest()
      .copy(encoded, encoded.length - 32);
    const { missing } = await store.offer(lie, encoded);
    for (const plan of planSegments(index, missing, () => 1_000_000)) {
      const raw = Buffer.concat(
        plan.runs.map(([first, count]) =>
          bytes.subarray(index.offsetOf(first), index.offsetOf(first + count)),
        ),
      );
      const segment = await encodeSegment(lie, plan.runs, raw);
      await store.putSegment(lie, segment.id, segment.bytes);
    }
    await expect(store.complete(lie)).rejects.toThrow("does not describe this image");
    expect(await store.status(lie)).toBeUndefined();
    expect(readdirSync(path).filter((name) => name.startsWith("ee"))).toEqual([]);
  });

  it("finds a partial file that was damaged, and the next push mends it with the bad part alone", async () => {
    const path = newDirectory();
    const store = await storeIn(path);
    const bytes = mixedImage(12, 1_500_000);
    const source = file(bytes);
    const { index, encoded, digest } = await indexed(bytes);
    const { missing } = await store.offer(digest, encoded);
    for (const segment of await segmentsOf(bytes, index, missing))
      await store.putSegment(digest, segment.id, segment.bytes);
    const partial = join(path, `${hex(digest)}.partial`);
    overwrite(partial, 500_000, Buffer.from("damaged"));
    overwrite(partial, 2_100_000, Buffer.from("not a hole"));
    await expect(store.complete(digest)).rejects.toMatchObject({ code: "image-corrupt", status: 422 });
    expect((await store.status(digest))?.presentBytes).toBeLessThan(bytes.length);
    const mended = await push(store, source);
    expect(mended.sizeBytes - mended.presentBytes).toBeLessThan(20_000);
    expect(readFileSync(store.path(digest)).equals(bytes)).toBe(true);
  });

  it("goes on when the partial file is gone but the journal says all is here", async () => {
    const path = newDirectory();
    const bytes = mixedImage(13);
    const source = file(bytes);
    const { index, encoded, digest } = await indexed(bytes);
    let store = await storeIn(path);
    const { missing } = await store.offer(digest, encoded);
    for (const segment of await segmentsOf(bytes, index, missing))
      await store.putSegment(digest, segment.id, segment.bytes);
    await store.close();
    rmSync(join(path, `${hex(digest)}.partial`));
    store = await storeIn(path);
    await push(store, source);
    expect(readFileSync(store.path(digest)).equals(bytes)).toBe(true);
  });

  it("does not pass on damage of a held image: its bad chunks are sent", async () => {
    const store = await storeIn();
    const first = mixedImage(14, 1_500_000);
    const held = await push(store, file(first));
    overwrite(store.path(held.digest), 300_000, Buffer.from("bit rot"));
    const second = Buffer.concat([first, bytesOf(15, 50_000)]);
    const context = listening();
    const result = await pushImage({ source: file(second), target: store, context, cacheDirectory });
    expect(readFileSync(store.path(result.digest)).equals(second)).toBe(true);
    expect(result.segments).toBeGreaterThan(1);
  });

  it("takes an image back whose file was cut, and the next push mends it", async () => {
    const path = newDirectory();
    let store = await storeIn(path);
    const bytes = mixedImage(16, 1_000_000);
    const source = file(bytes);
    const { digest } = await push(store, source);
    chmodSync(store.path(digest), 0o600);
    truncateSync(store.path(digest), 700_000);
    expect(() => store.path(digest)).toThrow(expect.objectContaining({ code: "image-missing" }));
    await store.close();
    store = await storeIn(path);
    expect((await store.status(digest))?.complete).toBe(false);
    await push(store, source);
    expect(readFileSync(store.path(digest)).equals(bytes)).toBe(true);
  });

  it("cleans up what a killed process left half made", async () => {
    const path = newDirectory();
    let store = await storeIn(path);
    const { digest } = await push(store, file(mixedImage(17)));
    await store.close();
    const other = "1".repeat(64);
    for (const name of [
      `${other}.index`,
      `${other}.partial`,
      `${other}.index.abcd.new`,
      `${hex(digest)}.journal`,
    ]) {
      writeFileSync(join(path, name), "left over");
    }
    store = await storeIn(path);
    expect(readdirSync(path).sort()).toEqual([`${hex(digest)}.img`, `${hex(digest)}.index`]);
    expect((await store.list()).map((status) => status.digest)).toEqual([digest]);
  });

  it("takes an image that someone copied into its directory, if it is what its name says", async () => {
    const path = newDirectory();
    await (await storeIn(path)).close();
    const bytes = mixedImage(18);
    const good = createHash("sha256").update(bytes).digest("hex");
    const bad = "2".repeat(64);
    writeFileSync(join(path, `${good}.img`), bytes);
    writeFileSync(join(path, `${bad}.img`), bytes);
    const store = await storeIn(path);
    expect((await store.list()).map((status) => status.digest)).toEqual([`sha256:${good}`]);
    expect(existsSync(join(path, `${bad}.damaged`))).toBe(true);
    expect((await push(store, file(Buffer.concat([bytes, bytesOf(1, 10)])))).sentBytes).toBeLessThan(40_000);
  });

  it("deletes an image, but not one in use, and then copies from it no more", async () => {
    const users = new Map<string, string[]>();
    const path = newDirectory();
    const store = await storeIn(path, (digest) => users.get(digest) ?? []);
    const bytes = mixedImage(19);
    const source = file(bytes);
    const { digest } = await push(store, source);
    users.set(digest, ["shop"]);
    await expect(store.delete(digest)).rejects.toMatchObject({ code: "image-in-use", status: 409 });
    await expect(store.delete(digest)).rejects.toThrow('pool "shop"');
    expect((await store.status(digest))?.usedBy).toEqual(["shop"]);
    users.clear();
    await store.delete(digest);
    await store.delete(digest);
    expect(readdirSync(path)).toEqual([]);
    const second = Buffer.concat([bytes, bytesOf(20, 5_000)]);
    const again = await push(store, file(second));
    expect(again.sentBytes).toBeGreaterThan(600_000);
    expect(readFileSync(store.path(again.digest)).equals(second)).toBe(true);
  });

  it("deletes an image that is arriving, and the push that was sending it is told", async () => {
    const path = newDirectory();
    const store = await storeIn(path);
    const bytes = mixedImage(21);
    const { index, encoded, digest } = await indexed(bytes);
    const { missing } = await store.offer(digest, encoded);
    const segments = await segmentsOf(bytes, index, missing);
    await store.putSegment(digest, segments[0].id, segments[0].bytes);
    await store.delete(digest);
    expect(readdirSync(path)).toEqual([]);
    await expect(store.putSegment(digest, segments[1].id, segments[1].bytes)).rejects.toMatchObject({
      code: "not-found",
    });
  });

  it("survives that an image is deleted while another waits to copy from it", async () => {
    const store = await storeIn();
    const first = mixedImage(22);
    const { digest } = await push(store, file(first));
    const second = Buffer.concat([first, bytesOf(23, 30_000)]);
    const next = await indexed(second);
    const { missing } = await store.offer(next.digest, next.encoded);
    for (const segment of await segmentsOf(second, next.index, missing))
      await store.putSegment(next.digest, segment.id, segment.bytes);
    await store.delete(digest);
    await expect(store.complete(next.digest)).rejects.toMatchObject({
      code: "image-incomplete",
      status: 409,
    });
    await push(store, file(second));
    expect(readFileSync(store.path(next.digest)).equals(second)).toBe(true);
  });
});

describe("an estimate", () => {
  it("says what would be sent, and leaves no image behind", async () => {
    const store = await storeIn();
    const bytes = mixedImage(30);
    const { encoded, digest, index } = await indexed(bytes);
    const estimate = await store.estimate(digest, encoded);
    expect(estimate).toMatchObject({ totalBytes: bytes.length, rateBps: 100_000_000, rateIs: "assumed" });
    expect(estimate.presentBytes + estimate.sendBytes).toBe(bytes.length);
    expect(estimate.etaMs).toBe(Math.ceil((estimate.sendBytes * 8_000) / 100_000_000));
    expect(estimate.sendBytes).toBe(index.bytesOf((await store.offer(digest, encoded)).missing));
    await store.delete(digest);
    expect(await store.list()).toEqual([]);
  });

  it("stays the same when another image arrives meanwhile, the store is opened again, or a cut-off sender's last segment comes in", async () => {
    const path = newDirectory();
    let store = await storeIn(path);
    const bytes = mixedImage(31);
    const { encoded, digest, index } = await indexed(bytes);
    const before = await store.estimate(digest, encoded);
    await push(store, file(Buffer.concat([bytes, bytesOf(32, 5_000)])));
    expect(await store.estimate(digest, encoded)).toEqual(before);
    await store.close();
    store = await storeIn(path);
    expect(await store.estimate(digest, encoded)).toEqual(before);
    const segment = await encodeSegment(digest, [[0, 1]], bytes.subarray(0, index.lengthOf(0)));
    await store.offer(digest, encoded);
    expect(await store.estimate(digest, encoded)).toEqual(before);
    await store.putSegment(digest, segment.id, segment.bytes);
    expect(await store.estimate(digest, encoded)).toEqual(before);
    await store.close();
    store = await storeIn(path, undefined, -60_000);
    expect((await store.estimate(digest, encoded)).sendBytes).toBeLessThan(before.sendBytes / 10);
  });

  it("of an image that is there is nothing to send", async () => {
    const store = await storeIn();
    const bytes = mixedImage(33);
    await push(store, file(bytes));
    const { encoded, digest } = await indexed(bytes);
    expect(await store.estimate(digest, encoded)).toMatchObject({
      presentBytes: bytes.length,
      sendBytes: 0,
      etaMs: 0,
    });
  });
});
