import { readdir, stat } from "node:fs/promises";
import type { ImageStatus } from "../../site/api";
import { isMissingFile } from "../errors";
import type { TakePiece, TargetCallOptions, TransferRequest, TransferState } from "../wire/target";
import { StoreFiles } from "./files";
import { giveFile } from "./give-file";
import { Journal } from "./journal";
import { LeafTable } from "./leaf-table";
import { Link } from "./link";
import { readManifest } from "./manifest";
import * as refusals from "./refusals";

const IMAGE = /^([0-9a-f]{64})\.img$/;

/**
 * What a store's directory holds, for who only looks: nothing is made, locked, mended or removed, and another process may work on it
 * meanwhile. A directory that is not there holds nothing.
 */
export class StoreGlance {
  private readonly files: StoreFiles;

  constructor(private readonly directory: string) {
    this.files = new StoreFiles(directory);
  }

  async openTransfer(id: string, { sizeBytes, digest }: TransferRequest): Promise<TransferState> {
    refusals.requireTransferId(id);
    refusals.requireSize(id, sizeBytes);
    if (digest !== undefined) refusals.requireDigest(digest);
    const held = await this.held();
    const link = new Link(this.files.link);
    await link.restore();
    const { rateBps, packedShare } = link.measured ?? {};
    const known = { images: held.map((image) => image.digest), rateBps, packedShare };
    const complete = held.find((image) => image.digest === digest);
    return { complete, arrived: complete ? "" : await this.arrived(id, sizeBytes), ...known };
  }

  /** False also for an image that nobody has made an index of yet. */
  async fetchIndex(digest: string, take: TakePiece, options?: TargetCallOptions): Promise<boolean> {
    refusals.requireDigest(digest);
    return giveFile(this.files.of(digest).index, take, options?.signal);
  }

  private async held(): Promise<ImageStatus[]> {
    const names = await readdir(this.directory).catch((error: unknown) => {
      if (isMissingFile(error)) return [];
      throw error;
    });
    const held: ImageStatus[] = [];
    for (const name of names) {
      const hex = IMAGE.exec(name)?.[1];
      if (hex === undefined) continue;
      const digest = `sha256:${hex}`;
      const { image, manifest } = this.files.of(digest);
      const sizeBytes = (await readManifest(manifest, digest))?.sizeBytes;
      const found = await stat(image).catch(() => undefined);
      if (sizeBytes === undefined || found?.size !== sizeBytes) continue;
      const completedAt = Math.round(found.mtimeMs);
      held.push({ digest, sizeBytes, complete: true, presentBytes: sizeBytes, completedAt, usedBy: [] });
    }
    // As the store itself offers them.
    return held.sort((one, other) => (other.completedAt ?? 0) - (one.completedAt ?? 0));
  }

  private async arrived(id: string, sizeBytes: number): Promise<string> {
    let blocks: LeafTable | undefined;
    await Journal.read(this.files.ofTransfer(id).journal, id, (found) => {
      const table = (blocks = new LeafTable(found));
      return ({ block, leaf }) => (leaf ? table.set(block, leaf, "claimed") : table.clear(block));
    });
    return blocks?.sizeBytes === sizeBytes ? blocks.prefixes() : "";
  }
}
