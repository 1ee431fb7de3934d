import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { SpillwayError } from "../../../../../lib/errors";
import { openImageSource } from "../../../../../lib/image/source";
import { random } from "../../extents/support/random";
import { run } from "../../extents/support/tools";

const MIB = 1024 * 1024;

/** A good image with data and zeros in turns. */
export async function makeQcow2(directory: string, ...options: string[]): Promise<Buffer> {
  const [raw, image] = [join(directory, "disk.raw"), join(directory, "made.qcow2")];
  const bytes = Buffer.alloc(MIB);
  const next = random(1);
  for (let at = 0; at < bytes.length; at += 4)
    bytes.writeUInt32LE(at % 65_536 < 30_000 ? 0 : next() * 2 ** 16, at);
  await writeFile(raw, bytes);
  run("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", ...options, raw, image]);
  return readFile(image);
}

/** Reads the image with some of its bytes changed. True when it was read, false when it was refused as it should be. */
export async function survivesNonsense(directory: string, good: Buffer, seed: number): Promise<boolean> {
  const path = join(directory, "bad.qcow2");
  const bad = Buffer.from(good);
  nonsense(bad, tablesOf(good), random(seed));
  await writeFile(path, bad);
  const startedAt = Date.now();
  try {
    await readAll(path);
    return true;
  } catch (error) {
    if (!(error instanceof SpillwayError)) throw new Error(`seed ${seed}`, { cause: error });
    // What the reader says when it comes to the file's end before it has what it wanted.
    expect(error.message).not.toMatch(/was changed/);
    expect(error.report).toMatchObject({
      place: expect.stringContaining(path),
      mend: expect.stringMatching(/./),
    });
    return false;
  } finally {
    expect(Date.now() - startedAt).toBeLessThan(5000);
  }
}

/** Opens it, and reads the beginnings of what it says it holds, and its end. */
export async function readAll(path: string): Promise<void> {
  const source = await openImageSource(path, { format: "qcow2" });
  try {
    const allocated = await source.allocated();
    const bytes = Buffer.alloc(256 * 1024);
    for (let i = 0; i < Math.min(allocated.count, 20); i++) {
      const length = Math.min(bytes.length, allocated.end(i) - allocated.start(i));
      await source.read(bytes.subarray(0, length), allocated.start(i));
    }
    const tail = Math.min(bytes.length, source.sizeBytes);
    await source.read(bytes.subarray(0, tail), source.sizeBytes - tail);
  } finally {
    await source.close();
  }
}

/** Where the header, the L1 table and the L2 tables are. */
function tablesOf(image: Buffer): [start: number, length: number][] {
  const clusterBytes = 2 ** image.readUInt32BE(20);
  const [l1, entries] = [Number(image.readBigUInt64BE(40)), image.readUInt32BE(36)];
  const tables: [number, number][] = [
    [0, 112],
    [l1, entries * 8],
  ];
  for (let i = 0; i < entries; i++) {
    const l2 = Number(image.readBigUInt64BE(l1 + 8 * i) & 0x00fffffffffffe00n);
    if (l2 !== 0) tables.push([l2, clusterBytes]);
  }
  return tables;
}

function nonsense(image: Buffer, tables: readonly [number, number][], next: () => number): void {
  const below = (end: number) => Math.floor(next() * end);
  for (let changes = 1 + below(3); changes > 0; changes--) {
    const [start, length] = tables[below(tables.length)]!;
    const entry = start + 8 * below(length / 8);
    const how = below(5);
    if (how === 0) image[entry + below(8)]! ^= 1 << below(8);
    else if (how === 1) image[entry + below(8)] = below(256);
    else if (how === 2) image.fill([0, 0xff, 0x40][below(3)]!, entry, entry + 8);
    else if (how === 3) {
      const other = start + 8 * below(length / 8);
      image.copyWithin(entry, other, other + 8);
    }
    // Bytes of clusters, which also hold what is compressed.
    else image[below(image.length)] = below(256);
  }
}
