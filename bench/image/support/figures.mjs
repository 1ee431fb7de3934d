import { spawnSync } from "node:child_process";
import { open, stat } from "node:fs/promises";

const BLOCK = 4096;

/** What an ext4 image consists of. */
export async function figuresOf(name, path) {
  const { size, blocks } = await stat(path);
  const free = freeBlocks(path);
  const freeBytes = free.reduce((sum, [from, to]) => sum + (to - from), 0);
  return {
    name,
    sizeBytes: size,
    allocatedBytes: blocks * 512,
    nonZeroBytes: await nonZeroBytes(path),
    inUseBytes: size - freeBytes,
  };
}

/**
 * The free byte ranges of an ext4 image, as e2fsprogs reads them: ascending and disjoint, [from, to). It is what the bench checks
 * by, and shares nothing with Spillway's own reading of file systems.
 */
export function freeBlocks(path) {
  const asked = spawnSync("dumpe2fs", [path], {
    encoding: "utf8",
    maxBuffer: 2 ** 30,
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin`, LC_ALL: "C" },
  });
  if (asked.status !== 0) throw new Error(`dumpe2fs could not read ${path}: ${asked.stderr}`);
  const blockSize = Number(/^Block size:\s+(\d+)/m.exec(asked.stdout)?.[1]);
  const ranges = [];
  for (const [, list] of asked.stdout.matchAll(/^ +Free blocks: (.+)$/gm)) {
    for (const range of list.split(", ")) {
      const [from, to = from] = range.split("-").map(Number);
      ranges.push([from * blockSize, (to + 1) * blockSize]);
    }
  }
  return ranges.sort(([a], [b]) => a - b);
}

async function nonZeroBytes(path) {
  const file = await open(path);
  const part = Buffer.alloc(4 * 2 ** 20);
  const zero = Buffer.alloc(BLOCK);
  let bytes = 0;
  try {
    for (let at = 0; ; at += part.length) {
      const { bytesRead } = await file.read(part, 0, part.length, at);
      if (bytesRead === 0) return bytes;
      for (let block = 0; block < bytesRead; block += BLOCK) {
        if (part.compare(zero, 0, BLOCK, block, block + BLOCK) !== 0) bytes += BLOCK;
      }
    }
  } finally {
    await file.close();
  }
}
