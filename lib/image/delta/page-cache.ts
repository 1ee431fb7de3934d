/** Bytes that can be looked at again: an older version of the image, another image, or the image itself. */
export interface DeltaBase {
  /** 0 to 255; by convention 255 is the image itself. */
  readonly number: number;
  readonly sizeBytes: number;
  /** Fills `into` with the bytes from `offset` on. */
  read(into: Uint8Array, offset: number): Promise<void>;
}

export const PAGE_BYTES = 128 * 1024;
const MIN_PAGES = 16;

/** Pages of bases, the least recently used of them given up: bounded, whatever is asked for. */
export class PageCache {
  /** By base and page; a Map remembers the order in which things came. */
  private readonly pages = new Map<number, Uint8Array>();
  private readonly reading = new Map<number, Promise<Uint8Array>>();
  private readonly maxPages: number;

  /** @param options.memoryBytes for pages; at least 1 MiB is taken */
  constructor(options: { readonly memoryBytes: number }) {
    this.maxPages = Math.max(MIN_PAGES, Math.floor(options.memoryBytes / PAGE_BYTES));
  }

  /** How many pages may be held at once. */
  get capacity(): number {
    return this.maxPages;
  }

  /** The page if it is there; undefined means that it must be read first. The last page of a base is short. */
  peek(base: DeltaBase, page: number): Uint8Array | undefined {
    const key = keyOf(base, page);
    const bytes = this.pages.get(key);
    if (bytes) {
      this.pages.delete(key);
      this.pages.set(key, bytes);
    }
    return bytes;
  }

  /** Reads a page unless it is there. */
  read(base: DeltaBase, page: number): Promise<Uint8Array> {
    const key = keyOf(base, page);
    const present = this.peek(base, page);
    if (present) return Promise.resolve(present);
    let reading = this.reading.get(key);
    if (!reading) {
      reading = this.fetch(base, page, key).finally(() => this.reading.delete(key));
      this.reading.set(key, reading);
    }
    return reading;
  }

  private async fetch(base: DeltaBase, page: number, key: number): Promise<Uint8Array> {
    const offset = page * PAGE_BYTES;
    const space = this.takeSpace();
    const bytes = space.subarray(0, Math.max(0, Math.min(PAGE_BYTES, base.sizeBytes - offset)));
    if (bytes.length > 0) await base.read(bytes, offset);
    this.pages.set(key, bytes);
    return bytes;
  }

  /** That of the page that was used least recently, once there are enough: new memory costs more than what is read into it. */
  private takeSpace(): Uint8Array {
    for (const [oldest, bytes] of this.pages) {
      if (this.pages.size + this.reading.size < this.maxPages) break;
      this.pages.delete(oldest);
      return new Uint8Array(bytes.buffer, 0, PAGE_BYTES);
    }
    return new Uint8Array(PAGE_BYTES);
  }
}

function keyOf(base: DeltaBase, page: number): number {
  return base.number * 2 ** 40 + page;
}
