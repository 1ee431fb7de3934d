import { wasmMemory } from "../chunking/wasm";

/** What lies at a multiple of this, in memory and in the file, may go past the cache on the usual file systems. */
export const PAGE_BYTES = 4096;

const known = new WeakSet<ArrayBufferLike>();

/** Is it memory that begins at a page? */
export function isDirectSpace(bytes: Uint8Array): boolean {
  return bytes.byteOffset % PAGE_BYTES === 0 && known.has(bytes.buffer);
}

/** A few spaces that begin at a page of memory, which a buffer of Node.js does not: only the memory of WebAssembly is sure to. */
export class DirectSpaces {
  private readonly free: Buffer[];

  /** @param bytes of one; a multiple of {@link PAGE_BYTES} */
  constructor(
    count: number,
    private readonly bytes: number,
  ) {
    const { buffer } = wasmMemory(count * bytes);
    known.add(buffer);
    this.free = Array.from({ length: count }, (_, i) => Buffer.from(buffer, i * bytes, bytes));
  }

  /** One of them; when all are taken, one that does not begin at a page. */
  take(): Buffer {
    return this.free.pop() ?? Buffer.allocUnsafeSlow(this.bytes);
  }

  give(space: Buffer): void {
    if (known.has(space.buffer)) this.free.push(space);
  }
}
