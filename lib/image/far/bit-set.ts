/** A set of the numbers from 0 to its size, one bit each. */
export class BitSet {
  private readonly bits: Uint8Array;

  constructor(size: number) {
    this.bits = new Uint8Array(Math.ceil(size / 8));
  }

  has(number: number): boolean {
    return (this.bits[number >>> 3] & (1 << (number & 7))) !== 0;
  }

  add(number: number): void {
    this.bits[number >>> 3] |= 1 << (number & 7);
  }

  delete(number: number): void {
    this.bits[number >>> 3] &= ~(1 << (number & 7));
  }
}
