import { spawn } from "node:child_process";
import { once } from "node:events";
import { open, stat } from "node:fs/promises";
import { freeBlocks } from "./figures.mjs";

const PART = 4 * 2 ** 20;

/** Whether two files are the same to the byte. */
export async function sameFile(left, right) {
  const [code] = await once(spawn("cmp", ["-s", left, right], { stdio: "ignore" }), "exit");
  return code === 0;
}

/**
 * Whether `copy` is what a file-system-aware tool makes of `source`: every block in use the same, every free one zeros. The free
 * blocks are those that e2fsprogs finds.
 */
export async function sameInUse(source, copy) {
  if ((await stat(source)).size !== (await stat(copy)).size) return false;
  const free = freeBlocks(source);
  const [left, right] = [await open(source), await open(copy)];
  const [expected, found] = [Buffer.alloc(PART), Buffer.alloc(PART)];
  let next = 0;
  try {
    for (let at = 0; ; at += PART) {
      const { bytesRead } = await left.read(expected, 0, PART, at);
      if (bytesRead === 0) return true;
      await right.read(found, 0, PART, at);
      while (next < free.length && free[next][1] <= at) next++;
      for (let range = next; range < free.length && free[range][0] < at + bytesRead; range++) {
        const [from, to] = free[range];
        expected.fill(0, Math.max(from - at, 0), Math.min(to - at, bytesRead));
      }
      if (expected.compare(found, 0, bytesRead, 0, bytesRead) !== 0) return false;
    }
  } finally {
    await left.close();
    await right.close();
  }
}
