import { readFileSync } from "node:fs";
import type { ImageStore } from "../../../../../lib/image/far";
import {
  BLOCK_BYTES,
  blockCountOf,
  blockLengthOf,
  encodeSegment,
  imageDigest,
  isZeros,
  leafOf,
  type Op,
  type SegmentParts,
} from "../../../../../lib/image/wire";

const PAGE_BYTES = 4096;

/** A segment that can be sent. */
export interface TestSegment {
  readonly id: string;
  readonly bytes: Buffer;
}

/** An image that copies may refer to. */
export interface TestBase {
  readonly digest: string;
  readonly bytes: Buffer;
}

export function leavesOf(bytes: Buffer): Buffer[] {
  return Array.from({ length: blockCountOf(bytes.length) }, (_, i) =>
    leafOf(bytes.subarray(i * BLOCK_BYTES, (i + 1) * BLOCK_BYTES)),
  );
}

export function digestOfImage(bytes: Buffer): string {
  return imageDigest(bytes.length, leavesOf(bytes));
}

/** The id of a transfer. */
export function transferId(number: number): string {
  return number.toString(16).padStart(64, "a");
}

/** What a segment is made of that describes these blocks: copies where the base has the same at the same place. */
export function partsOf(
  bytes: Buffer,
  firstBlock: number,
  blockCount: number,
  base?: TestBase,
): SegmentParts {
  const from = firstBlock * BLOCK_BYTES;
  const to = Math.min(bytes.length, from + blockCount * BLOCK_BYTES);
  const ops: Op[] = [];
  const literals: Buffer[] = [];
  for (let at = from; at < to; at += PAGE_BYTES) {
    const page = bytes.subarray(at, Math.min(at + PAGE_BYTES, to));
    const isHeld = base?.bytes.subarray(at, at + page.length).equals(page);
    if (isZeros(page)) ops.push({ kind: "zero", length: page.length });
    else if (isHeld) ops.push({ kind: "copy", base: 0, offset: at, length: page.length });
    else {
      ops.push({ kind: "literal", length: page.length });
      literals.push(page);
    }
  }
  const leaves = Array.from({ length: blockCount }, (_, i) => {
    const at = from + i * BLOCK_BYTES;
    const block = bytes.subarray(at, at + blockLengthOf(bytes.length, firstBlock + i));
    return isZeros(block) ? undefined : leafOf(block);
  });
  return { firstBlock, blockCount, bases: base ? [base.digest] : [], ops: joined(ops), literals, leaves };
}

function joined(ops: readonly Op[]): Op[] {
  const out: Op[] = [];
  for (const op of ops) {
    const last = out.at(-1);
    if (last?.kind === op.kind) out[out.length - 1] = { ...last, length: last.length + op.length } as Op;
    else out.push(op);
  }
  return out;
}

export async function sealed(parts: SegmentParts): Promise<TestSegment> {
  const { id, bytes } = await encodeSegment(parts, { quality: 1, window: 20 });
  return { id, bytes };
}

/** All segments of an image. */
export async function segmentsOf(bytes: Buffer, blocksEach = 2, base?: TestBase): Promise<TestSegment[]> {
  const segments: TestSegment[] = [];
  const blocks = blockCountOf(bytes.length);
  for (let first = 0; first < blocks; first += blocksEach) {
    segments.push(await sealed(partsOf(bytes, first, Math.min(blocksEach, blocks - first), base)));
  }
  return segments;
}

/** Brings an image to a store; its digest. */
export async function bring(store: ImageStore, id: string, bytes: Buffer, base?: TestBase): Promise<string> {
  const digest = digestOfImage(bytes);
  const { complete } = await store.openTransfer(id, { sizeBytes: bytes.length, digest });
  if (complete) return digest;
  for (const segment of await segmentsOf(bytes, 2, base))
    await store.putSegment(id, segment.id, segment.bytes);
  await store.completeTransfer(id, digest);
  return digest;
}

export function holds(store: ImageStore, digest: string, bytes: Buffer): boolean {
  return readFileSync(store.path(digest)).equals(bytes);
}

/** Which blocks have arrived, by what `openTransfer` says. */
export function arrivedBlocks(arrived: string): number[] {
  const bytes = Buffer.from(arrived, "base64");
  const blocks = Array.from({ length: bytes.length / 8 }, (_, i) => i);
  return blocks.filter((i) => bytes.readBigUInt64LE(i * 8) !== 0n);
}

/** An image of five blocks and a bit: noise, text, a block of zeros, and a hole in a block. */
export function fiveBlocks(
  noise: (seed: number, length: number, kind?: "text") => Buffer,
  seed: number,
): Buffer {
  const holed = noise(seed + 3, BLOCK_BYTES);
  holed.fill(0, 300_000, 700_000);
  return Buffer.concat([
    noise(seed, BLOCK_BYTES),
    noise(seed + 1, BLOCK_BYTES, "text"),
    Buffer.alloc(BLOCK_BYTES),
    holed,
    noise(seed + 2, BLOCK_BYTES + 12_345, "text"),
  ]);
}
