import { createHash } from "node:crypto";
import { lstat, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { random } from "./random";

/** Files of many sizes with bytes of their own in some directories; reproducible. */
export async function writeTree(directory: string, files: number, seed: number): Promise<void> {
  const next = random(seed);
  for (let i = 0; i < files; i++) {
    const folder = join(directory, `folder-${i % 5}`);
    await mkdir(folder, { recursive: true });
    const bytes = Buffer.alloc(1 + Math.floor(next() ** 3 * 120_000));
    for (let at = 0; at + 4 <= bytes.length; at += 4) bytes.writeInt32LE((next() * 2 ** 32) | 0, at);
    await writeFile(join(folder, fileName(i)), bytes);
  }
}

export const fileName = (i: number): string => `file-${i}`;

/** Removes every second of them, which leaves holes of many sizes in what is free. */
export async function removeSome(directory: string, files: number): Promise<void> {
  for (let i = 0; i < files; i += 2) await rm(join(directory, `folder-${i % 5}`, fileName(i)));
}

/** Each file's path and the digest of its bytes. */
export async function digestTree(directory: string, below = ""): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const name of (await readdir(join(directory, below))).sort()) {
    const path = join(below, name);
    if ((await lstat(join(directory, path))).isDirectory()) {
      Object.assign(found, await digestTree(directory, path));
    } else {
      found[path] = createHash("sha256")
        .update(await readFile(join(directory, path)))
        .digest("hex");
    }
  }
  return found;
}
