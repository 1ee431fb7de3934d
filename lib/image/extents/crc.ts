/** A running CRC of 32 bits, reflected, without the final inversion: what came out last goes in next. */
export type Crc = (crc: number, bytes: Uint8Array, start?: number, end?: number) => number;

/** CRC-32C (Castagnoli), of ext4 and XFS. */
export const crc32c = crcOf(0x82f63b78);

const ieee = crcOf(0xedb88320);

/** CRC-32 (IEEE 802.3) as GPT has it: inverted before and after. */
export function crc32(bytes: Uint8Array): number {
  return ~ieee(0xffffffff, bytes) >>> 0;
}

/** CRC-16 (ANSI), of ext4's group descriptors without `metadata_csum`. */
export function crc16(crc: number, bytes: Uint8Array): number {
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xa001 : crc >>> 1;
  }
  return crc;
}

/** Four bytes at a time: about 1 GB/s. */
function crcOf(polynomial: number): Crc {
  const [t0, t1, t2, t3] = [0, 1, 2, 3].map(() => new Uint32Array(256)) as [
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
  ];
  for (let i = 0; i < 256; i++) {
    let crc = i;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
    t0[i] = crc;
  }
  for (let i = 0; i < 256; i++) {
    t1[i] = (t0[i]! >>> 8) ^ t0[t0[i]! & 255]!;
    t2[i] = (t1[i]! >>> 8) ^ t0[t1[i]! & 255]!;
    t3[i] = (t2[i]! >>> 8) ^ t0[t2[i]! & 255]!;
  }
  return (seed, bytes, start = 0, end = bytes.length) => {
    let [crc, i] = [seed, start];
    for (const stop = end - 3; i < stop; i += 4) {
      crc ^= bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
      crc = t3[crc & 255]! ^ t2[(crc >>> 8) & 255]! ^ t1[(crc >>> 16) & 255]! ^ t0[crc >>> 24]!;
    }
    for (; i < end; i++) crc = (crc >>> 8) ^ t0[(crc ^ bytes[i]!) & 255]!;
    return crc >>> 0;
  };
}
