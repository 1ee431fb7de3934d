import { mkdtempSync, rmSync, writeFileSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mapExtents, type ExtentMap } from "../../../../../lib/image/extents";
import { createDisk, MIB } from "./images";
import { MemorySource } from "./memory-source";
import { random } from "./random";
import { run } from "./tools";

/** A disk to write nonsense to, and where on it nonsense is of interest. */
export interface Victim {
  readonly name: string;
  readonly disk: MemorySource;
  /** Start and length. */
  readonly places: readonly (readonly [start: number, length: number])[];
}

/** One of each kind, mostly without checksums, which would keep nonsense from coming far. */
export async function makeVictims(): Promise<Victim[]> {
  const directory = mkdtempSync(join(tmpdir(), "spillway-victims-"));
  try {
    const image = join(directory, "image");
    const tree = join(directory, "tree");
    mkdirSync(tree);
    for (let i = 0; i < 40; i++) writeFileSync(join(tree, `file-${i}`), Buffer.alloc(1 + i * 400, i + 1));
    const victims: Victim[] = [];
    const add = (name: string, ...places: (readonly [number, number])[]) =>
      victims.push({ name, disk: MemorySource.load(image), places });
    const ext4 = async (name: string, ...options: string[]) => {
      await createDisk(image, 16 * MIB);
      run("mkfs.ext4", ["-q", "-F", "-b", "1024", ...options, "-d", tree, image]);
      add(name, [1024, 1024], [2048, 2048], [1024, 64 * 1024], [8 * MIB, 64 * 1024]);
    };
    await ext4("ext4", "-O", "^metadata_csum,^uninit_bg,^resize_inode,^has_journal");
    await ext4("ext4 with checksums");
    await ext4("ext4 with clusters", "-O", "^metadata_csum,uninit_bg,bigalloc", "-C", "8192");
    await ext4(
      "ext4 with groups of descriptors",
      "-O",
      "^metadata_csum,^uninit_bg,meta_bg,^resize_inode",
      "-g",
      "256",
    );
    for (const [name, ...options] of [
      ["XFS 4", "-m", "crc=0"],
      ["XFS 5", "-m", "crc=1"],
      ["XFS 4 with small blocks", "-m", "crc=0", "-b", "size=512"],
    ] as const) {
      await createDisk(image, 64 * MIB);
      run("mkfs.xfs", ["--unsupported", "-q", "-f", "-l", "size=8m", "-d", "agcount=4", ...options, image]);
      const log = 16 * MIB * 2;
      add(name, [0, 264], [512, 128], [512, 8192], [16 * MIB + 512, 8192], [4096, 256], [log, 64 * 1024]);
    }
    await createDisk(image, 8 * MIB);
    run("mkswap", ["-q", image]);
    add("swap", [1024, 64], [4080, 16]);
    await createDisk(image, 8 * MIB);
    run("sfdisk", ["-q", image], "label: gpt\nsize=2048\nsize=4096\n");
    add("GPT", [446, 66], [512, 92], [1024, 384], [8 * MIB - 512, 92]);
    await createDisk(image, 8 * MIB);
    run("sfdisk", ["-q", image], "label: dos\nsize=2048\ntype=f\nsize=1024\nsize=1024\nsize=1024\n");
    add("MBR", [446, 66], [2 * MIB + 446, 66], [3 * MIB + 446, 66], [2 * MIB, MIB]);
    return victims;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const INTERESTING = [0, 1, 2, 7, 8, 0x10, 0x7f, 0x80, 0xff];

/** Changes some bytes of it: flipped bits, values at the edges, other places' bytes. */
export function mutate(victim: Victim, seed: number): MemorySource {
  const next = random(seed);
  const below = (end: number) => Math.floor(next() * end);
  const disk = victim.disk.copy();
  for (let changes = 1 + below(4); changes > 0; changes--) {
    const [start, length] = victim.places[below(victim.places.length)]!;
    const width = [1, 2, 4, 8][below(4)]!;
    const at = start + Math.floor(below(Math.max(1, length - width)) / width) * width;
    const old = disk.peek(at, width);
    const how = below(5);
    if (how === 0) old[below(width)]! ^= 1 << below(8);
    else if (how === 1) old.fill(INTERESTING[below(INTERESTING.length)]!);
    else if (how === 2) for (let i = 0; i < width; i++) old[i] = below(256);
    else if (how === 3) old[below(width)]! += next() < 0.5 ? 1 : 255;
    else disk.peek(start + below(Math.max(1, length - width)), width).copy(old);
    disk.write(at, old);
  }
  return disk;
}

/** Nothing is thrown, nothing outside is read, and what comes out is a map of this disk. */
export async function expectMap(disk: MemorySource): Promise<ExtentMap> {
  const startedAt = Date.now();
  const map = await mapExtents(disk);
  expect(Date.now() - startedAt).toBeLessThan(5000);
  expect(disk.readBytes).toBeLessThan(64 * MIB);
  const { inUse, parts } = map;
  let end = 0;
  for (let i = 0; i < inUse.count; i++) {
    if (!(inUse.start(i) >= end && inUse.end(i) > inUse.start(i)))
      throw new Error(`range ${i} is not in order`);
    end = inUse.end(i);
  }
  expect(end).toBeLessThanOrEqual(disk.sizeBytes);
  expect(parts[0]!.offset).toBe(0);
  for (const { offset, length, treated, why, inUseBytes } of parts) {
    expect(offset >= 0 && length > 0 && offset + length <= disk.sizeBytes).toBe(true);
    expect(inUseBytes).toBe(inUse.bytesWithin(offset, offset + length));
    if (treated === "exact") expect([why !== undefined, inUseBytes]).toEqual([true, length]);
  }
  return map;
}
