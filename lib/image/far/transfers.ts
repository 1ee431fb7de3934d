import { readFile, rename, stat } from "node:fs/promises";
import { hexOf } from "../digest";
import { writeFailed } from "../errors";
import { ifThere, removeAll, type StoreFiles } from "./files";
import { Journal, type JournalRecord } from "./journal";
import { Transfer } from "./transfer";

/** What nobody went on with for so long is dropped. */
const IDLE_MS = 7 * 24 * 60 * 60_000;
/** Transfers that were completed, whose last segments may still come in twice. */
const REMEMBERED = 1_000;

/** The images that are arriving at a store. Callers see to it that one transfer is opened, bound or dropped by one at a time. */
export class Transfers {
  private readonly byId = new Map<string, Transfer>();
  /** By id, the digests of transfers that were completed. */
  private readonly completed = new Map<string, string>();

  /** @param onUnusable told of transfers that cannot be gone on with, and begin anew */
  constructor(
    private readonly files: StoreFiles,
    private readonly onUnusable: (id: string) => void = () => undefined,
  ) {}

  get all(): readonly Transfer[] {
    return [...this.byId.values()];
  }

  get(id: string): Transfer | undefined {
    return this.byId.get(id);
  }

  ofDigest(digest: string): readonly Transfer[] {
    return this.all.filter((transfer) => transfer.digest === digest);
  }

  /** Which image a transfer was completed as, unless that was long ago. */
  finishedAs(id: string): string | undefined {
    return this.completed.get(id);
  }

  noteFinished(id: string, digest: string): void {
    this.completed.set(id, digest);
    const [oldest] = this.completed.keys();
    if (this.completed.size > REMEMBERED) this.completed.delete(oldest);
  }

  /** Goes on with what a former process left; what cannot be read or was left alone for long is dropped. */
  async restore(ids: readonly string[], now = Date.now()): Promise<void> {
    for (const id of ids) {
      const files = this.files.ofTransfer(id);
      const found = await ifThere(stat(files.journal));
      const digest = await readFile(files.meta, "utf8")
        .then((text) => digestIn(JSON.parse(text)))
        .catch(() => undefined);
      const isIdle = now - (found?.mtimeMs ?? 0) > IDLE_MS;
      const transfer = isIdle ? undefined : await Transfer.resume(id, digest, files);
      if (transfer) {
        this.byId.set(id, transfer);
        continue;
      }
      if (!isIdle) this.onUnusable(id);
      await removeAll([files.journal, files.partial, files.meta]);
    }
  }

  /** The transfer with that id; a new one when there is none, or it was for an image of another size. @throws ImageStoreError `disk-full` */
  async open(id: string, sizeBytes: number): Promise<Transfer> {
    this.completed.delete(id);
    const present = this.byId.get(id);
    if (present?.sizeBytes === sizeBytes) {
      present.noteUse();
      return present;
    }
    await this.drop(id);
    const transfer = await Transfer.create(id, sizeBytes, this.files.ofTransfer(id));
    this.byId.set(id, transfer);
    return transfer;
  }

  /**
   * Notes which image it is. If that image was held here and taken back to be mended, an empty transfer goes on with what is left of it.
   * @throws ImageStoreError `disk-full`
   */
  async bind(transfer: Transfer, digest: string): Promise<Transfer> {
    let bound = transfer;
    const mended = this.byId.get(hexOf(digest) ?? "");
    if (mended && mended !== transfer && mended.digest === digest && transfer.blocks.presentBytes === 0) {
      bound = await this.goOnWith(mended, transfer);
    }
    if (bound.digest === digest) return bound;
    const { meta } = this.files.ofTransfer(bound.id);
    await this.files.writeWhole(meta, [Buffer.from(JSON.stringify({ digest }))]);
    bound.digest = digest;
    return bound;
  }

  /** Drops one that was left alone for long. */
  async dropIfIdle(id: string): Promise<void> {
    if (await this.byId.get(id)?.isIdle(IDLE_MS)) await this.drop(id);
  }

  /** Forgets a transfer and removes its files. Idempotent. */
  async drop(id: string): Promise<void> {
    const transfer = this.byId.get(id);
    if (!transfer) return;
    this.byId.delete(id);
    await transfer.close();
    const { journal, partial, meta } = this.files.ofTransfer(id);
    await removeAll([journal, partial, meta]);
  }

  /** Forgets a transfer whose file became a complete image's. */
  async finished(transfer: Transfer): Promise<void> {
    await transfer.close();
    if (this.byId.get(transfer.id) !== transfer) return;
    this.byId.delete(transfer.id);
    const { journal, meta } = this.files.ofTransfer(transfer.id);
    await removeAll([journal, meta]);
  }

  async close(): Promise<void> {
    for (const transfer of this.byId.values()) await transfer.close();
    this.byId.clear();
  }

  private async goOnWith(left: Transfer, transfer: Transfer): Promise<Transfer> {
    const [from, to] = [this.files.ofTransfer(left.id), this.files.ofTransfer(transfer.id)];
    const records: JournalRecord[] = [];
    for (let block = 0; block < left.blocks.blockCount; block++) {
      const leaf = left.blocks.leafOf(block);
      if (leaf) records.push({ block, leaf });
    }
    this.byId.delete(left.id);
    await left.close();
    await this.drop(transfer.id);
    try {
      const journal = await Journal.create(to.journal, transfer.id, left.sizeBytes);
      await journal.append(records);
      await journal.close();
    } catch (error) {
      throw writeFailed(to.journal, error);
    }
    await rename(from.partial, to.partial);
    await removeAll([from.journal, from.meta]);
    const resumed = await Transfer.resume(transfer.id, undefined, to);
    // What was just written can be read; if it cannot, the transfer begins anew.
    const going = resumed ?? (await Transfer.create(transfer.id, transfer.sizeBytes, to));
    this.byId.set(transfer.id, going);
    return going;
  }
}

function digestIn(value: unknown): string | undefined {
  const { digest } = (value ?? {}) as { digest?: unknown };
  return typeof digest === "string" && hexOf(digest) !== undefined ? digest : undefined;
}
