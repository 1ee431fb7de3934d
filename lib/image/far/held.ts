import { statSync } from "node:fs";
import { chmod, open, rename, type FileHandle } from "node:fs/promises";
import {
  BLOCK_BYTES,
  blockCountOf,
  blockLengthOf,
  ImageDigest,
  isZeros,
  leafOf,
  leafOfZeros,
} from "../wire/digest";
import { DirectFile } from "./direct-file";
import { ifThere, readFully, removeAll, type StoreFiles } from "./files";
import { Journal } from "./journal";
import { readLeaf, readManifest, writeManifest } from "./manifest";

/** What is known of a held image's file. */
export interface HeldFile {
  readonly sizeBytes: number;
  readonly completedAt: number;
  /** False when the file was cut, or is gone. */
  readonly isWhole: boolean;
}

const RECORDS_AT_ONCE = 4096;

/** The complete images of a store. What cannot be read for another reason than that it is not there is thrown: it may be sound. */
export class HeldImages {
  /** What each file's size should be. */
  private readonly sizes = new Map<string, number>();

  /** @param isUsed whether the image's file is in use: then it stays where it is, whatever is wrong with it */
  constructor(
    private readonly files: StoreFiles,
    private readonly isUsed: (digest: string) => boolean = () => false,
  ) {}

  get digests(): readonly string[] {
    return [...this.sizes.keys()];
  }

  add(digest: string, sizeBytes: number): void {
    this.sizes.set(digest, sizeBytes);
  }

  remove(digest: string): void {
    this.sizes.delete(digest);
  }

  /** Undefined when no such image is held. */
  look(digest: string): HeldFile | undefined {
    const sizeBytes = this.sizes.get(digest);
    if (sizeBytes === undefined) return undefined;
    const found = statSync(this.files.of(digest).image, { throwIfNoEntry: false });
    return { sizeBytes, completedAt: Math.round(found?.mtimeMs ?? 0), isWhole: found?.size === sizeBytes };
  }

  /** Opens a held image to be read; undefined when it is not held. */
  async open(digest: string): Promise<{ readonly file: FileHandle; readonly sizeBytes: number } | undefined> {
    const found = this.look(digest);
    if (!found?.isWhole) return undefined;
    const file = await ifThere(open(this.files.of(digest).image, "r"));
    return file && { file, sizeBytes: found.sizeBytes };
  }

  /** As {@link open}, to copy large parts of it. */
  async openDirect(
    digest: string,
  ): Promise<{ readonly file: DirectFile; readonly sizeBytes: number } | undefined> {
    const found = this.look(digest);
    if (!found?.isWhole) return undefined;
    const file = await ifThere(DirectFile.open(this.files.of(digest).image, "r"));
    return file && { file, sizeBytes: found.sizeBytes };
  }

  /**
   * Takes an image that is under its final name. One without a readable manifest is read and verified first (someone may have copied
   * it here); if it is not what its name says, it is not held, and put aside as `.damaged` unless it is used.
   */
  async adopt(digest: string): Promise<void> {
    const { image, manifest, index } = this.files.of(digest);
    const known = await readManifest(manifest, digest);
    if (known) {
      this.add(digest, known.sizeBytes);
      return;
    }
    const read = await ifThere(readLeaves(image));
    if (read?.digest === digest) {
      await writeManifest(this.files, manifest, read.sizeBytes, [read.leaves]);
      this.add(digest, read.sizeBytes);
      return;
    }
    this.remove(digest);
    if (this.isUsed(digest)) return;
    await ifThere(rename(image, image.replace(/img$/, "damaged")));
    await removeAll([manifest, index]);
  }

  /** Which of these blocks of a held image are not as they should be. */
  async findBad(digest: string, blocks: Iterable<number>): Promise<readonly number[]> {
    const opened = await this.open(digest);
    if (!opened) return [...blocks];
    const space = Buffer.allocUnsafeSlow(BLOCK_BYTES);
    const bad: number[] = [];
    try {
      for (const block of blocks) {
        const bytes = space.subarray(0, blockLengthOf(opened.sizeBytes, block));
        const leaf = await readLeaf(this.files.of(digest).manifest, block);
        const bytesRead = await readFully(opened.file, bytes, block * BLOCK_BYTES);
        if (bytesRead < bytes.length || !leaf?.equals(leafOf(bytes))) bad.push(block);
      }
    } finally {
      await opened.file.close();
    }
    return bad;
  }

  /**
   * Makes a held image one that is arriving, under its own name, so that the next push mends it. All of it but `bad` is claimed to be
   * there: verifying it finds out what is not. Without a manifest nobody knows what it claims: it is adopted anew.
   */
  async takeBack(digest: string, bad: readonly number[]): Promise<void> {
    const files = this.files.of(digest);
    const id = digest.slice("sha256:".length);
    const transfer = this.files.ofTransfer(id);
    const known = await readManifest(files.manifest, digest);
    if (!known) return this.adopt(digest);
    this.remove(digest);
    const found = statSync(files.image, { throwIfNoEntry: false });
    const wrong = new Set(bad);
    const journal = await Journal.create(transfer.journal, id, known.sizeBytes);
    let records: { block: number; leaf: Buffer }[] = [];
    for (let block = 0; block < blockCountOf(known.sizeBytes); block++) {
      const end = block * BLOCK_BYTES + blockLengthOf(known.sizeBytes, block);
      if (wrong.has(block) || end > (found?.size ?? 0)) continue;
      records.push({ block, leaf: known.leaves.subarray(block * 32, block * 32 + 32) });
      if (records.length < RECORDS_AT_ONCE) continue;
      await journal.append(records);
      records = [];
    }
    await journal.append(records);
    await journal.close();
    await this.files.writeWhole(transfer.meta, [Buffer.from(JSON.stringify({ digest }))]);
    await ifThere(chmod(files.image, 0o600));
    await ifThere(rename(files.image, transfer.partial));
    await removeAll([files.manifest, files.index]);
  }
}

/** The digest of a file as it is, and what it is made of. */
async function readLeaves(
  path: string,
): Promise<{ readonly digest: string; readonly sizeBytes: number; readonly leaves: Buffer }> {
  const file = await open(path, "r");
  try {
    const { size: sizeBytes } = await file.stat();
    const digest = new ImageDigest(sizeBytes);
    const leaves = Buffer.alloc(blockCountOf(sizeBytes) * 32);
    const space = Buffer.allocUnsafeSlow(BLOCK_BYTES);
    for (let block = 0; block < blockCountOf(sizeBytes); block++) {
      const bytes = space.subarray(0, blockLengthOf(sizeBytes, block));
      bytes.fill(0, await readFully(file, bytes, block * BLOCK_BYTES));
      const leaf = isZeros(bytes) ? leafOfZeros(bytes.length) : leafOf(bytes);
      leaf.copy(leaves, block * 32);
      digest.add(leaf);
    }
    return { digest: digest.finish(), sizeBytes, leaves };
  } finally {
    await file.close();
  }
}
