import type { TargetCallOptions } from "../wire/target";

/** A snapshot as its service describes it. */
export interface KnownSnapshot {
  readonly id: string;
  readonly state: "pending" | "completed" | "error";
  /** Why, where it is in error. */
  readonly message?: string;
  /** Milliseconds since 1970; 0 where it is not told. */
  readonly startedAt: number;
  readonly volumeGib: number;
  readonly encrypted: boolean;
  readonly kmsKeyId?: string;
  readonly tags: Readonly<Record<string, string>>;
}

export interface StartRequest {
  readonly volumeGib: number;
  /** The same request with the same token makes one snapshot, however often it is sent. 64 hex digits. */
  readonly token: string;
  readonly description: string;
  readonly tags: Readonly<Record<string, string>>;
  /** The parent decides on encryption: `encrypted` and `kmsKeyId` are not given with it. */
  readonly parentId?: string;
  readonly encrypted?: boolean;
  readonly kmsKeyId?: string;
}

export interface StartedSnapshot {
  readonly id: string;
  /** False where the service did not say that it is. */
  readonly encrypted: boolean;
}

/** A block that a snapshot has. */
export interface StoredBlock {
  readonly index: number;
  /** By which it can be read, for a while. */
  readonly token: string;
}

export interface BlockPage {
  readonly blocks: readonly StoredBlock[];
  /** Undefined on the last page. */
  readonly next?: string;
}

export type CallOptions = Pick<TargetCallOptions, "signal">;

/**
 * Who keeps snapshots: AWS EBS. Every method is one request, or one for each page of an answer; none is tried again here.
 * All throw SnapshotErrors, or AbortedError.
 */
export interface SnapshotService {
  /** Where it is: `eu-central-1`. */
  readonly region: string;
  /** For errors: `EBS in eu-central-1`. */
  readonly place: string;
  /** Snapshots of this account that have this tag, with this value if one is given. */
  list(tag: string, value: string | undefined, options: CallOptions): Promise<readonly KnownSnapshot[]>;
  /** Undefined when there is none. */
  get(id: string, options: CallOptions): Promise<KnownSnapshot | undefined>;
  start(request: StartRequest, options: CallOptions): Promise<StartedSnapshot>;
  /** Writes one block of a pending snapshot. Idempotent. `corrupt` unless the service has what was sent. */
  put(
    id: string,
    index: number,
    bytes: Uint8Array,
    digest: Uint8Array,
    options: Pick<TargetCallOptions, "signal" | "pace">,
  ): Promise<void>;
  /** Says that everything was written. @param checksum see `linearChecksum` */
  complete(id: string, writtenBlocks: number, checksum: Uint8Array, options: CallOptions): Promise<void>;
  /** Blocks that a snapshot has, ascending; its parents' may be among them. @param page `next` of the page before */
  blocks(id: string, page: string | undefined, options: CallOptions): Promise<BlockPage>;
  read(id: string, block: StoredBlock, options: CallOptions): Promise<Uint8Array>;
  /** SHA-256 of a block, without reading more of it than must be. */
  digestOf(id: string, block: StoredBlock, options: CallOptions): Promise<Uint8Array>;
  tag(id: string, tags: Readonly<Record<string, string>>, options: CallOptions): Promise<void>;
  untag(id: string, keys: readonly string[], options: CallOptions): Promise<void>;
  /** Idempotent. `in-use` while a machine image is made of it. */
  delete(id: string, options: CallOptions): Promise<void>;
  /** Are new snapshots encrypted when nobody says? Undefined when that may not be asked. */
  encryptsByDefault(options: CallOptions): Promise<boolean | undefined>;
  close(): void;
}
