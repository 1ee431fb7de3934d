const PAGE_BYTES = 4096;

/** Pages of an image: a bit for each 4 KiB. */
export class PageSet {
  private readonly bits: Uint8Array;

  constructor(sizeBytes: number) {
    this.bits = new Uint8Array(Math.ceil(sizeBytes / PAGE_BYTES / 8));
  }

  /** Those that lie in these bytes whole. */
  add(offset: number, length: number): void {
    const end = Math.floor((offset + length) / PAGE_BYTES);
    for (let page = Math.ceil(offset / PAGE_BYTES); page < end; page++)
      this.bits[page >> 3] |= 1 << (page & 7);
  }

  /** Parts of the bytes from `offset` on, a multiple of 4 KiB, that are not in it, relative to the first. */
  gaps(offset: number, length: number): readonly (readonly [from: number, to: number])[] {
    const gaps: [number, number][] = [];
    const first = offset / PAGE_BYTES;
    for (let at = 0; at < length; at += PAGE_BYTES) {
      const page = first + at / PAGE_BYTES;
      if ((this.bits[page >> 3] >> (page & 7)) & 1) continue;
      const to = Math.min(at + PAGE_BYTES, length);
      const last = gaps.at(-1);
      if (last?.[1] === at) last[1] = to;
      else gaps.push([at, to]);
    }
    return gaps;
  }
}
