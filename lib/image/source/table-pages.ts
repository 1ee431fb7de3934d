import type { SourceFile } from "./file";

/** One page of tables. A power of two: no entry of 8 bytes ever straddles two. */
export const PAGE_BYTES = 64 * 1024;

const MAX_PAGES = 64;

/** The pages of a file that hold tables, the last 64 of them kept: 4 MiB. */
export class TablePages {
  private readonly pages = new Map<number, Promise<DataView>>();

  constructor(private readonly file: SourceFile) {}

  /** The page that `offset` lies in; the last one of a file may be shorter. */
  page(offset: number): Promise<DataView> {
    const number = Math.floor(offset / PAGE_BYTES);
    const known = this.pages.get(number);
    if (known) {
      // The Map's order is that of use.
      this.pages.delete(number);
      this.pages.set(number, known);
      return known;
    }
    const page = this.load(number);
    this.pages.set(number, page);
    if (this.pages.size > MAX_PAGES) this.pages.delete(this.pages.keys().next().value!);
    return page;
  }

  private async load(number: number): Promise<DataView> {
    const start = number * PAGE_BYTES;
    const bytes = new Uint8Array(Math.max(0, Math.min(PAGE_BYTES, this.file.sizeBytes - start)));
    try {
      await this.file.read(bytes, start);
    } catch (error) {
      this.pages.delete(number);
      throw error;
    }
    return new DataView(bytes.buffer);
  }
}
