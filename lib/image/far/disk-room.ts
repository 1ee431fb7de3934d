import { statfs } from "node:fs/promises";
import { formatBytes } from "../../duration";
import { diskFull } from "../errors";

/** Of the disk, so much is left alone. */
const SPARE_DISK_BYTES = 2 ** 20;

/** What a store may still write to the disk that a directory is on; negative when others have taken what is left alone. */
export async function freeBytes(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize - SPARE_DISK_BYTES;
}

/**
 * @param makeRoom may free some
 * @throws ImageStoreError `disk-full` when there is no room for so many bytes more
 */
export async function requireRoom(
  directory: string,
  place: string,
  neededBytes: number,
  makeRoom: (neededBytes: number) => Promise<void>,
): Promise<void> {
  if ((await freeBytes(directory)) >= neededBytes) return;
  await makeRoom(neededBytes);
  const free = await freeBytes(directory);
  if (free >= neededBytes) return;
  throw diskFull(
    place,
    neededBytes > 0
      ? `${formatBytes(neededBytes)} are to be written, and ${formatBytes(Math.max(0, free))} are free`
      : "nothing is free",
  );
}
