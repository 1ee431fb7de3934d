import { SpillwayError } from "../../../lib/errors";
import { hexOf } from "../../../lib/image/digest";
import { BLOCK_BYTES, blockCountOf, LEAF_BYTES } from "../../../lib/image/wire/digest";

/*
 * Under the prefix:
 *
 *   images/<hex of the digest>/manifest.json   what it is made of; written last: the image is there when this is
 *   images/<hex>/leaves                        SHA-256 of each of its blocks, one after the other
 *   images/<hex>/index                         its chunks, for pushes of its next version
 *   segments/<id>                              as on the wire
 *   transfers/<id>/transfer.json               an image that is arriving
 *   transfers/<id>/arrived/<number>-<segment>  a segment of it that has arrived: what it describes, and its leaves
 */
export const FORMAT = "spillway image in a bucket";
export const FORMAT_VERSION = 1;
/** Images of longer chains (a delta of a delta …) are not built upon: each of them is to be replayed before a pull. */
export const MAX_DEPTH = 8;

export const KEYS = {
  images: "images/",
  manifest: (hex: string) => `images/${hex}/manifest.json`,
  leaves: (hex: string) => `images/${hex}/leaves`,
  index: (hex: string) => `images/${hex}/index`,
  segments: "segments/",
  segment: (id: string) => `segments/${id}`,
  transfer: (id: string) => `transfers/${id}/transfer.json`,
  arrivals: (id: string) => `transfers/${id}/arrived/`,
  arrived: (id: string, number: number, segment: string) =>
    `transfers/${id}/arrived/${String(number).padStart(10, "0")}-${segment}`,
} as const;

/** The digest, and which of its files, that a key below `images/` names. */
export function imageOfKey(key: string): { readonly digest: string; readonly file: string } | undefined {
  const match = /^images\/([0-9a-f]{64})\/(manifest\.json|leaves|index)$/.exec(key);
  return match ? { digest: `sha256:${match[1]}`, file: match[2] } : undefined;
}

/** A segment of which an image is made. */
export interface SegmentEntry {
  readonly id: string;
  readonly firstBlock: number;
  readonly blockCount: number;
  /** As it lies in the bucket. */
  readonly bytes: number;
}

export interface Manifest {
  readonly format: string;
  readonly version: number;
  readonly digest: string;
  readonly sizeBytes: number;
  readonly blockBytes: number;
  /** Images that have to be there before it can be put together. */
  readonly bases: readonly string[];
  /** 1 for an image without bases, else one more than the deepest of them. */
  readonly depth: number;
  /** To be applied in this order. */
  readonly segments: readonly SegmentEntry[];
  /** Milliseconds since 1970. */
  readonly completedAt: number;
}

/** @throws SpillwayError for what is no manifest of this digest */
export function parseManifest(bytes: Uint8Array, digest: string, place: string): Manifest {
  const refuse = (problem: string) =>
    new SpillwayError({
      place,
      problem: `the manifest of the image ${digest} cannot be used: ${problem}`,
      mend: "Push the image again under another prefix, or with a Spillway of the version that wrote it.",
    });
  let manifest: Partial<Manifest>;
  try {
    manifest = JSON.parse(Buffer.from(bytes).toString("utf8")) as Partial<Manifest>;
  } catch {
    throw refuse("it is no JSON");
  }
  if (manifest?.format !== FORMAT) throw refuse(`it does not say that it is a ${FORMAT}`);
  if (manifest.version !== FORMAT_VERSION || manifest.blockBytes !== BLOCK_BYTES)
    throw refuse(`it is of version ${String(manifest.version)}`);
  const { sizeBytes, segments, bases, depth } = manifest;
  const isWhole =
    manifest.digest === digest &&
    Number.isSafeInteger(sizeBytes) &&
    Number.isInteger(depth) &&
    Array.isArray(bases) &&
    bases.every((base) => hexOf(base as string) !== undefined) &&
    Array.isArray(segments) &&
    segments.every((entry) => isEntry(entry, blockCountOf(sizeBytes as number)));
  if (!isWhole) throw refuse("parts of it are missing, or are not what they should be");
  return manifest as Manifest;
}

function isEntry(value: unknown, blocks: number): value is SegmentEntry {
  const { id, firstBlock, blockCount, bytes } = value as Partial<SegmentEntry>;
  return (
    typeof id === "string" &&
    /^[0-9a-f]{32}$/.test(id) &&
    [firstBlock, blockCount, bytes].every((number) => Number.isSafeInteger(number) && Number(number) >= 0) &&
    Number(firstBlock) + Number(blockCount) <= blocks
  );
}

/** What is kept of a segment that has arrived, so that nobody has to read it again to know what it is. */
export interface Arrived extends SegmentEntry {
  readonly bases: readonly string[];
  /** One for each block; undefined for zeros. */
  readonly leaves: readonly (Buffer | undefined)[];
}

export function encodeArrived({ leaves, ...about }: Arrived): Buffer {
  const has = Buffer.from(leaves.map((leaf) => (leaf ? 1 : 0)));
  const packed = Buffer.concat(leaves.filter((leaf) => leaf !== undefined));
  return Buffer.from(
    JSON.stringify({
      ...about,
      has: has.toString("latin1").replaceAll("\u0001", "1").replaceAll("\0", "0"),
      leaves: packed.toString("base64"),
    }),
  );
}

/** Undefined for what is none: then the segment counts as not arrived. */
export function decodeArrived(bytes: Uint8Array, blocks: number): Arrived | undefined {
  try {
    const value = JSON.parse(Buffer.from(bytes).toString("utf8")) as SegmentEntry & {
      bases: string[];
      has: string;
      leaves: string;
    };
    const packed = Buffer.from(value.leaves, "base64");
    if (!isEntry(value, blocks) || value.has.length !== value.blockCount) return undefined;
    let at = 0;
    const leaves = Array.from(value.has, (bit) =>
      bit === "1" ? packed.subarray(at, (at += LEAF_BYTES)) : undefined,
    );
    if (at !== packed.length || !value.bases.every((base) => hexOf(base) !== undefined)) return undefined;
    const { id, firstBlock, blockCount, bytes: size, bases } = value;
    return { id, firstBlock, blockCount, bytes: size, bases, leaves };
  } catch {
    return undefined;
  }
}
