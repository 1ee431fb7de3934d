/** An image as a snapshot of a cloud's block storage: what is written of it, in what order, and how that goes on after a kill. */
export { BlockDigests, DIGEST_OF_ZEROS } from "./block-digests";
export { chooseBlocks, digestsAfter, fateOf, linearChecksum, nameOfChoice } from "./choose-blocks";
export type { BlockCase, BlockFate, ChooseOptions, ChosenBlocks } from "./choose-blocks";
export { SnapshotError, type SnapshotErrorCode } from "./errors";
export { SNAPSHOT_BLOCK_BYTES } from "./geometry";
export { LocalSnapshots } from "./local-state";
export type { SnapshotOptions, SnapshotSettings } from "./prepare";
export { previewSnapshot, type PreviewOptions, type SnapshotEstimate, type SnapshotPreview } from "./preview";
export { pushSnapshot, type SnapshotResult } from "./push-snapshot";
export type {
  BlockPage,
  CallOptions,
  KnownSnapshot,
  SnapshotService,
  StartedSnapshot,
  StartRequest,
  StoredBlock,
} from "./service";
export { isComplete, TAG, TAG_PREFIX } from "./tags";
export { verifySnapshot, type VerifyOptions } from "./verify-snapshot";
