/** What crosses the link, or rests on disk to be read again: digests, segments, indexes, and the contract of a target. */
export {
  BLOCK_BYTES,
  blockCountOf,
  blockLengthOf,
  ImageDigest,
  imageDigest,
  isZeros,
  LEAF_BYTES,
  LEAF_OF_ZEROS,
  leafOf,
  leafOfZeros,
  ZERO_BLOCK,
} from "./digest";
export type { ChunkList } from "./index-format";
export { IndexReader, type IndexBlock } from "./index-reader";
export { IndexWriter } from "./index-writer";
export type { Op } from "./ops";
export type { Packing } from "./packing";
export {
  decodeSegment,
  decodeSegmentInSlices,
  encodeSegment,
  MAX_BASES,
  MAX_LITERAL_BYTES,
  MAX_OPS,
  MAX_OPS_BYTES,
  MAX_SEGMENT_BLOCKS,
  MAX_SEGMENT_BYTES,
  unpackSegment,
  type EncodedSegment,
  type SegmentContent,
  type SegmentHead,
  type SegmentParts,
} from "./segment";
export { Spaces } from "./spaces";
export type {
  ImageTarget,
  SegmentAnswer,
  TakePiece,
  TargetCallOptions,
  TransferRequest,
  TransferState,
} from "./target";
