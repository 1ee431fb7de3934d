import { copyFile, open, mkdtemp, rm, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Extents, mapExtents, type ExtentMap } from "../../../../../lib/image/extents";
import { openImageSource } from "../../../../../lib/image/source";

export const MIB = 1024 * 1024;

/** A directory of its own for each test. */
export function testDirectory(name: string): { readonly path: (file: string) => string } {
  let directory = "";
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), `spillway-${name}-`));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));
  return { path: (file) => join(directory, file) };
}

export async function createDisk(path: string, sizeBytes: number): Promise<void> {
  await (await open(path, "w")).close();
  await truncate(path, sizeBytes);
}

export async function mapOf(path: string, options: { readonly exact?: boolean } = {}): Promise<ExtentMap> {
  const source = await openImageSource(path);
  try {
    return await mapExtents(source, options);
  } finally {
    await source.close();
  }
}

/** Overwrites everything that the map calls free with bytes that mean nothing, in a copy: what is left must be all that counts. */
export async function copyWithoutFree(
  path: string,
  copy: string,
  map: ExtentMap,
  fill = 0xdb,
): Promise<number> {
  await copyFile(path, copy);
  const free = Extents.whole(map.sizeBytes).subtract(map.inUse);
  const junk = Buffer.alloc(MIB, fill);
  const handle = await open(copy, "r+");
  try {
    for (let i = 0; i < free.count; i++) {
      for (let at = free.start(i); at < free.end(i); at += MIB) {
        await handle.write(junk, 0, Math.min(MIB, free.end(i) - at), at);
      }
    }
  } finally {
    await handle.close();
  }
  return free.bytes;
}

/** Writes bytes into a file that is there. */
export async function patch(path: string, offset: number, bytes: Uint8Array): Promise<void> {
  const handle = await open(path, "r+");
  await handle.write(bytes, 0, bytes.length, offset);
  await handle.close();
}
