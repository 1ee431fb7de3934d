import { readFileSync } from "node:fs";
import { Extents } from "../../../../../lib/image/extents";
import type { ImageSource } from "../../../../../lib/image/source";

const PAGE_BYTES = 4096;

/** A disk in memory whose pages of zeros take none, for writing nonsense to; whoever reads outside of it is told. */
export class MemorySource implements ImageSource {
  readonly path = "memory";
  readonly format = "raw";
  readonly identity: ImageSource["identity"];
  readBytes = 0;
  private readonly changed = new Map<number, Buffer>();

  private constructor(
    readonly sizeBytes: number,
    private readonly pages: ReadonlyMap<number, Buffer>,
  ) {
    const same = { path: "memory", inode: 0n, device: 0n, mtimeNs: 0n, ctimeNs: 0n };
    this.identity = { ...same, size: BigInt(sizeBytes) };
  }

  static load(path: string): MemorySource {
    const bytes = readFileSync(path);
    const pages = new Map<number, Buffer>();
    const zeros = Buffer.alloc(PAGE_BYTES);
    for (let at = 0; at < bytes.length; at += PAGE_BYTES) {
      const page = bytes.subarray(at, at + PAGE_BYTES);
      if (!page.equals(zeros.subarray(0, page.length))) pages.set(at / PAGE_BYTES, Buffer.from(page));
    }
    return new MemorySource(bytes.length, pages);
  }

  /** The same disk as it was loaded. */
  copy(sizeBytes = this.sizeBytes): MemorySource {
    return new MemorySource(sizeBytes, this.pages);
  }

  write(offset: number, bytes: Uint8Array): void {
    for (const [i, byte] of bytes.entries()) {
      const number = Math.floor((offset + i) / PAGE_BYTES);
      const page =
        this.changed.get(number) ?? Buffer.concat([this.pages.get(number) ?? Buffer.alloc(0)], PAGE_BYTES);
      page[(offset + i) % PAGE_BYTES] = byte;
      this.changed.set(number, page);
    }
  }

  peek(offset: number, length: number): Buffer {
    const bytes = Buffer.alloc(length);
    for (let at = offset; at < offset + length;) {
      const number = Math.floor(at / PAGE_BYTES);
      const step = Math.min(offset + length - at, PAGE_BYTES - (at % PAGE_BYTES));
      const page = this.changed.get(number) ?? this.pages.get(number);
      if (page) bytes.set(page.subarray(at % PAGE_BYTES, (at % PAGE_BYTES) + step), at - offset);
      at += step;
    }
    return bytes;
  }

  async read(into: Uint8Array, offset: number): Promise<void> {
    if (!Number.isSafeInteger(offset) || offset < 0 || offset + into.length > this.sizeBytes) {
      throw new Error(`read outside of the disk: ${into.length} bytes at ${offset}`);
    }
    this.readBytes += into.length;
    into.set(this.peek(offset, into.length));
  }

  async allocated(): Promise<Extents> {
    return Extents.whole(this.sizeBytes);
  }

  async requireUnchanged(): Promise<void> {}

  async close(): Promise<void> {}
}
