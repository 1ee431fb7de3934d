import { chmod, readFile, rename, stat, utimes } from "node:fs/promises";
import { FormatError } from "./errors";
import { fillIn } from "./fill-in";
import type { HeldImages } from "./held-images";
import { decodeIndex, indexChecksum } from "./index-encoding";
import { RunList, type ImageIndex } from "./image-index";
import { Journal } from "./journal";
import { Partial } from "./partial";
import { removeAll, type StoreFiles } from "./store-files";
import { IndexMismatch, verifyWhole } from "./verify";

/** Runs in one record of a journal that is written anew. */
const RUNS_AT_ONCE = 8_192;

/** The images that are arriving at a store. Callers see to it that one image is changed by one at a time. */
export class Arrivals {
  private readonly partials = new Map<string, Partial>();

  constructor(
    private readonly files: StoreFiles,
    private readonly held: HeldImages,
  ) {}

  get digests(): readonly string[] {
    return [...this.partials.keys()];
  }

  get(digest: string): Partial | undefined {
    return this.partials.get(digest);
  }

  /** When something of the image last arrived, milliseconds since 1970; undefined if nothing did. */
  async changedAt(digest: string): Promise<number | undefined> {
    if (!this.partials.has(digest)) return undefined;
    return (await stat(this.files.of(digest).journal).catch(() => undefined))?.mtimeMs;
  }

  /** Goes on with images that were offered before; one whose index cannot be read is dropped, and may be offered again. */
  async restore(digests: readonly string[]): Promise<void> {
    for (const digest of digests) {
      const files = this.files.of(digest);
      try {
        const encoded = await readFile(files.index);
        const index = decodeIndex(encoded);
        if (index.digest !== digest) throw new FormatError("image index", `it is of ${index.digest}`);
        const partial = await Partial.open(files, index, indexChecksum(encoded));
        partial.askFor(await this.held.chunks());
        this.partials.set(digest, partial);
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
        await removeAll([files.journal, files.partial, files.index]);
      }
    }
  }

  /** The partial image for this index: a new one, unless it was offered before. @throws ImageStoreError `disk-full` */
  async begin(digest: string, index: ImageIndex, encoded: Uint8Array): Promise<Partial> {
    const checksum = indexChecksum(encoded);
    const present = this.partials.get(digest);
    if (present?.checksum.equals(checksum)) return present;
    // Positions in another index mean other bytes: what arrived for it cannot be kept.
    if (present) await this.drop(digest);
    const files = this.files.of(digest);
    await this.files.writeWhole(files.index, encoded);
    const partial = await Partial.open(files, index, checksum);
    this.partials.set(digest, partial);
    return partial;
  }

  /**
   * Puts the image together, verifies it, and gives it its final name.
   * @returns false when no such image is arriving
   * @throws ImageStoreError `image-incomplete`, `image-corrupt`, `disk-full`
   */
  async finish(digest: string, place: string): Promise<boolean> {
    const partial = this.partials.get(digest);
    if (!partial) return false;
    try {
      await fillIn(partial, await this.held.chunks(), place);
      await partial.setLength();
      await verifyWhole(partial, place);
      await partial.sync();
    } catch (error) {
      if (error instanceof IndexMismatch) await this.drop(digest);
      else partial.askFor(await this.held.chunks());
      throw error;
    }
    const files = this.files.of(digest);
    await chmod(files.partial, 0o444);
    await utimes(files.partial, new Date(), new Date());
    await rename(files.partial, files.image);
    await this.files.syncDirectory();
    this.partials.delete(digest);
    this.held.add(digest, partial.index.sizeBytes);
    await partial.close();
    await removeAll([files.journal]);
    return true;
  }

  /** Forgets an arriving image and removes its files. Idempotent. */
  async drop(digest: string): Promise<void> {
    const partial = this.partials.get(digest);
    if (!partial) return;
    this.partials.delete(digest);
    await partial.close();
    const { journal, partial: file, index } = this.files.of(digest);
    await removeAll([journal, file, index]);
  }

  /** A held image whose file was cut or is gone counts as arriving again, so that the next push mends it. */
  async takeBackIfCut(digest: string): Promise<void> {
    const found = this.held.look(digest);
    if (!found || found.isWhole) return;
    const files = this.files.of(digest);
    this.held.remove(digest);
    const encoded = await readFile(files.index);
    const index = decodeIndex(encoded);
    await chmod(files.image, 0o600).catch(() => undefined);
    await rename(files.image, files.partial).catch(() => undefined);
    // All of it is claimed to be here: the next verification finds out what is not.
    const chunks = new RunList();
    for (let position = 0; position < index.count; position++)
      if (!index.isHole(position)) chunks.add(position);
    const journal = await Journal.create(files.journal, indexChecksum(encoded));
    for (let at = 0; at < chunks.runs.length; at += RUNS_AT_ONCE) {
      await journal.append("have", chunks.runs.slice(at, at + RUNS_AT_ONCE));
    }
    await journal.close();
    await this.restore([digest]);
  }

  async close(): Promise<void> {
    for (const partial of this.partials.values()) await partial.close();
    this.partials.clear();
  }
}
