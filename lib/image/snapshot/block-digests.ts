import { sha256 } from "../digest";
import { FormatError } from "../errors";
import { SNAPSHOT_BLOCK_BYTES } from "./geometry";

/*
 * The file of a list; little-endian.
 *
 *   "SPBD"  version (1)  zeros (3)  number of blocks (4)  zeros (4)
 *   then the SHA-256 of each block, or 32 zeros for one that was never written (32)
 *   SHA-256 of all that (32)
 */
const MAGIC = "SPBD";
const VERSION = 1;
const HEADER_BYTES = 16;
const DIGEST_BYTES = 32;
const WHAT = "the list of a snapshot's blocks";

const NEVER = Buffer.alloc(DIGEST_BYTES);

/** SHA-256 of a snapshot's block of zeros. */
export const DIGEST_OF_ZEROS = sha256(Buffer.alloc(SNAPSHOT_BLOCK_BYTES));

/** What each block of an image or of a snapshot is, by its SHA-256: 32 bytes a block, 6.4 MB for 100 GiB. */
export class BlockDigests {
  private constructor(private readonly bytes: Buffer) {}

  /** So many blocks, of which none was ever written. */
  static none(count: number): BlockDigests {
    return new BlockDigests(Buffer.alloc(count * DIGEST_BYTES));
  }

  /** @throws FormatError for bytes that {@link encode} did not make, or not all of them */
  static decode(file: Buffer): BlockDigests {
    const count = file.length >= HEADER_BYTES ? file.readUInt32LE(8) : -1;
    const end = HEADER_BYTES + count * DIGEST_BYTES;
    if (file.toString("latin1", 0, 4) !== MAGIC || file[4] !== VERSION) {
      throw new FormatError(WHAT, "it does not begin as one");
    }
    if (file.length !== end + DIGEST_BYTES) throw new FormatError(WHAT, "it is cut short");
    if (!sha256(file.subarray(0, end)).equals(file.subarray(end))) {
      throw new FormatError(WHAT, "its checksum does not match");
    }
    return new BlockDigests(Buffer.from(file.subarray(HEADER_BYTES, end)));
  }

  get count(): number {
    return this.bytes.length / DIGEST_BYTES;
  }

  /** Undefined for a block that was never written, or that is past the end. Not to be written to. */
  at(block: number): Buffer | undefined {
    const digest = this.bytes.subarray(block * DIGEST_BYTES, (block + 1) * DIGEST_BYTES);
    return digest.length === 0 || digest.equals(NEVER) ? undefined : digest;
  }

  set(block: number, digest: Uint8Array): void {
    if (block >= this.count) throw new RangeError(`block ${block} of ${this.count}`);
    this.bytes.set(digest, block * DIGEST_BYTES);
  }

  /** Was it written, and with zeros only? */
  isZeros(block: number): boolean {
    return this.at(block)?.equals(DIGEST_OF_ZEROS) ?? false;
  }

  /** The same in so many blocks; those that are added were never written. */
  resized(count: number): BlockDigests {
    const other = BlockDigests.none(count);
    this.bytes.copy(other.bytes, 0, 0, count * DIGEST_BYTES);
    return other;
  }

  encode(): Buffer {
    const head = Buffer.alloc(HEADER_BYTES);
    head.write(MAGIC, 0, "latin1");
    head[4] = VERSION;
    head.writeUInt32LE(this.count, 8);
    const content = Buffer.concat([head, this.bytes]);
    return Buffer.concat([content, sha256(content)]);
  }
}
