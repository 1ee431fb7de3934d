import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { MAX_IMAGE_BYTES } from "../limits";

/** Where Linux tells of its block devices. */
const SYSTEM = "/sys/dev/block";
const SECTOR_BYTES = 512;

/** How systems other than Linux answer who reads behind a device's end. */
const BEYOND_END = new Set(["EINVAL", "ENXIO", "ENOSPC", "EOVERFLOW"]);

/** Fields of a device's `stat` (the kernel's Documentation/block/stat.rst): writes and discards that ended, and their sectors. */
const WRITE_FIELDS = [4, 6, 11, 13];

/** What the system tells of a block device. */
export class BlockDevice {
  private readonly directory: string;

  /** @param number as `stat` has it: `rdev` */
  constructor(number: bigint, system = SYSTEM) {
    const major = ((number >> 8n) & 0xfffn) | ((number >> 32n) & 0xfffff000n);
    const minor = (number & 0xffn) | ((number >> 12n) & 0xffffff00n);
    this.directory = join(system, `${major}:${minor}`);
  }

  /** Bytes; undefined where the system does not tell. */
  async sizeBytes(): Promise<number | undefined> {
    const sectors = (await this.tell("size"))?.trim();
    return sectors !== undefined && /^\d+$/.test(sectors) ? Number(sectors) * SECTOR_BYTES : undefined;
  }

  /** Stays the same as long as nothing is written to the device; undefined where the system does not tell. */
  async writeCount(): Promise<string | undefined> {
    const fields = (await this.tell("stat"))?.trim().split(/\s+/);
    return fields && WRITE_FIELDS.map((field) => fields[field] ?? "").join(" ");
  }

  private tell(file: string): Promise<string | undefined> {
    return readFile(join(this.directory, file), "utf8").catch(() => undefined);
  }
}

/**
 * A device's size, in whole sectors of 512 bytes: the first sector that is not there is its end.
 * @param read of one byte; its answer is how many there were
 * @throws what `read` throws, unless that means that the place is beyond the end
 */
export async function sizeByReading(read: (offset: number) => Promise<number>): Promise<number> {
  const isThere = async (sector: number) => {
    try {
      return (await read(sector * SECTOR_BYTES)) === 1;
    } catch (error) {
      if (BEYOND_END.has((error as NodeJS.ErrnoException).code ?? "")) return false;
      throw error;
    }
  };
  let [low, high] = [0, 2 * (MAX_IMAGE_BYTES / SECTOR_BYTES)];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (await isThere(middle)) low = middle + 1;
    else high = middle;
  }
  return low * SECTOR_BYTES;
}
