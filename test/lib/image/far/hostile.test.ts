import * as fc from "fast-check";
import { sha256 } from "../../../../lib/image/digest";
import { ImageStoreError } from "../../../../lib/image/errors";
import type { ImageStore } from "../../../../lib/image/far";
import { BLOCK_BYTES, leafOf, type Op, type SegmentParts } from "../../../../lib/image/wire";
import {
  arrivedBlocks,
  bring,
  digestOfImage,
  holds,
  leavesOf,
  partsOf,
  sealed,
  segmentsOf,
  transferId,
  type TestSegment,
} from "./support/segments";
import { imageOf, testStores } from "./support/stores";

const stores = testStores();
let store: ImageStore;
const bytes = imageOf(1);
const id = transferId(1);

beforeEach(async () => {
  store = await stores.open();
});

const put = (segment: TestSegment) => store.putSegment(id, segment.id, segment.bytes);

async function arrived(): Promise<number[]> {
  return arrivedBlocks((await store.openTransfer(id, { sizeBytes: bytes.length })).arrived);
}

/** A segment of one block, with its parts changed. */
async function lieOf(
  change: (parts: SegmentParts) => Partial<SegmentParts>,
  block = 1,
): Promise<TestSegment> {
  const parts = partsOf(bytes, block, 1);
  return sealed({ ...parts, ...change(parts) });
}

describe("a peer that lies", () => {
  it("gets no wrong byte in: a block that is not what its leaf says is named, and nothing of its segment is kept", async () => {
    await store.openTransfer(id, { sizeBytes: bytes.length });
    const parts = partsOf(bytes, 0, 2);
    const leaves = [parts.leaves[0], leafOf(Buffer.from("another"))];
    await expect(put(await sealed({ ...parts, leaves }))).rejects.toMatchObject({
      code: "image-corrupt",
      withoutCopies: false,
      message: expect.stringContaining("its bytes for block 1 are not what its leaf says"),
    });
    expect(await arrived()).toEqual([]);
  });

  it("gets nothing complete under a digest that is not that of its blocks", async () => {
    await store.openTransfer(id, { sizeBytes: bytes.length });
    for (const segment of await segmentsOf(bytes)) await put(segment);
    const other = digestOfImage(imageOf(2));
    await expect(store.completeTransfer(id, other)).rejects.toMatchObject({
      code: "image-corrupt",
      message: expect.stringContaining(`together they are the image ${digestOfImage(bytes)}`),
    });
    expect(await store.status(other)).toBeUndefined();
    await store.completeTransfer(id, digestOfImage(bytes));
    expect(holds(store, digestOfImage(bytes), bytes)).toBe(true);
  });

  it("may send another transfer's segment: the image's digest finds it out, and the right one mends it", async () => {
    await store.openTransfer(id, { sizeBytes: bytes.length });
    for (const segment of await segmentsOf(bytes, 1)) await put(segment);
    const [stray] = await segmentsOf(imageOf(50), 1);
    await put(stray);
    await expect(store.completeTransfer(id, digestOfImage(bytes))).rejects.toMatchObject({
      code: "image-corrupt",
    });
    const [right] = await segmentsOf(bytes, 1);
    await put(right);
    await store.completeTransfer(id, digestOfImage(bytes));
    expect(holds(store, digestOfImage(bytes), bytes)).toBe(true);
  });

  it("is refused when a segment comes under another's id, or is for blocks that the image does not have", async () => {
    await store.openTransfer(id, { sizeBytes: bytes.length });
    const [segment] = await segmentsOf(bytes);
    const refused = store.putSegment(id, "00".repeat(16), segment.bytes);
    await expect(refused).rejects.toMatchObject({ code: "image-corrupt" });
    for (const firstBlock of [6, 2 ** 31, 2 ** 32 - 1]) {
      const beyond = await lieOf(() => ({ firstBlock }));
      await expect(put(beyond)).rejects.toMatchObject({ code: "invalid" });
    }
    const short = await lieOf(() => ({
      ops: [{ kind: "zero", length: 100 }],
      literals: [],
      leaves: [undefined],
    }));
    await expect(put(short)).rejects.toMatchObject({ code: "invalid" });
  });

  it.each([
    ["just beyond", BLOCK_BYTES * 5 + 12_345 - BLOCK_BYTES + 1],
    ["far beyond", 2 ** 50],
  ])("never reads %s the end of the image that it copies from", async (_where, offset) => {
    const digest = await bring(store, transferId(2), bytes);
    await store.openTransfer(id, { sizeBytes: bytes.length });
    const ops: Op[] = [{ kind: "copy", base: 0, offset, length: BLOCK_BYTES }];
    const lie = await lieOf(() => ({ ops, bases: [digest], literals: [] }));
    await expect(put(lie)).rejects.toMatchObject({ code: "image-corrupt", withoutCopies: true });
    const self = await lieOf(() => ({ ops: [{ kind: "self", offset, length: BLOCK_BYTES }], literals: [] }));
    await expect(put(self)).rejects.toMatchObject({ code: "image-corrupt", withoutCopies: true });
  });

  it("is told to send without copies what copies made wrong, and the image copied from stays held if it is sound", async () => {
    const digest = await bring(store, transferId(2), bytes);
    await store.openTransfer(id, { sizeBytes: bytes.length });
    const ops: Op[] = [{ kind: "copy", base: 0, offset: 17, length: BLOCK_BYTES }];
    const lie = await lieOf(() => ({ ops, bases: [digest], literals: [] }));
    await expect(put(lie)).rejects.toMatchObject({
      code: "image-corrupt",
      withoutCopies: true,
      report: { base: digest },
    });
    expect((await store.openTransfer(id, { sizeBytes: bytes.length })).images).toEqual([digest]);
  });

  it("learns which image is not held when it copies from one", async () => {
    await store.openTransfer(id, { sizeBytes: bytes.length });
    const base = `sha256:${"12".repeat(32)}`;
    const ops: Op[] = [{ kind: "copy", base: 0, offset: 0, length: BLOCK_BYTES }];
    const lie = await lieOf(() => ({ ops, bases: [base], literals: [] }));
    await expect(put(lie)).rejects.toMatchObject({ code: "image-missing", status: 404, report: { base } });
  });

  it("cannot pass bytes off as zeros", async () => {
    await store.openTransfer(id, { sizeBytes: bytes.length });
    await expect(put(await lieOf(() => ({ leaves: [undefined] })))).rejects.toMatchObject({
      code: "image-corrupt",
    });
    const zeros = await lieOf(() => ({ ops: [{ kind: "zero", length: BLOCK_BYTES }], literals: [] }));
    await expect(put(zeros)).rejects.toMatchObject({ code: "image-corrupt" });
    expect(await arrived()).toEqual([]);
  });

  it("is refused a segment larger than any needs to be, before it is looked at", async () => {
    await store.openTransfer(id, { sizeBytes: bytes.length });
    const huge = Buffer.alloc(13 * 2 ** 20);
    await expect(store.putSegment(id, "00", huge)).rejects.toMatchObject({ code: "too-large", status: 413 });
  });

  it("changes nothing and crashes nothing with any segment of its making", async () => {
    const digest = await bring(store, transferId(2), bytes);
    await store.openTransfer(id, { sizeBytes: bytes.length });
    const whole = await sealed(partsOf(Buffer.from(bytes).fill(7, 5_000, 9_000), 0, 2, { digest, bytes }));
    const leaves = leavesOf(bytes).map((leaf) => leaf.toString("hex"));
    const at = fc.oneof(fc.nat(200), fc.nat(whole.bytes.length - 33));
    const changes = fc.array(fc.tuple(at, fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(changes, async (wanted) => {
        const lie = Buffer.from(whole.bytes);
        for (const [place, value] of wanted) lie[place] = value;
        const hash = sha256(lie.subarray(0, lie.length - 32));
        hash.copy(lie, lie.length - 32);
        await put({ id: hash.toString("hex", 0, 16), bytes: lie }).catch((error) =>
          expect(error).toBeInstanceOf(ImageStoreError),
        );
      }),
      { numRuns: 1_000 },
    );
    expect(leavesOf(bytes).map((leaf) => leaf.toString("hex"))).toEqual(leaves);
    expect(holds(store, digest, bytes)).toBe(true);
    for (const segment of await segmentsOf(bytes)) await put(segment);
    await store.delete(digest);
    await store.completeTransfer(id, digest);
    expect(holds(store, digest, bytes)).toBe(true);
  });
});

describe("a link that changes bytes", () => {
  it("gets none of 10,000 changed segments through, and the right ones afterwards", async () => {
    await store.openTransfer(id, { sizeBytes: bytes.length });
    const parts = partsOf(bytes, 5, 1);
    const segment = await sealed(parts);
    let refused = 0;
    for (let i = 0; i < 10_000; i++) {
      const changed = Buffer.from(segment.bytes);
      changed[Math.floor((i * changed.length) / 10_000)] ^= 1 << (i % 8);
      const sent = i % 4 === 3 ? changed.subarray(0, (i * 31) % changed.length) : changed;
      await store.putSegment(id, segment.id, sent).catch((error) => {
        expect(error).toMatchObject({ code: "image-corrupt" });
        refused++;
      });
    }
    expect(refused).toBe(10_000);
    expect(await arrived()).toEqual([]);
    for (const one of await segmentsOf(bytes)) await put(one);
    await store.completeTransfer(id, digestOfImage(bytes));
  });
});
