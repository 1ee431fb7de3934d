import { createWriteStream } from "node:fs";
import { mkdir, readFile, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { Transform } from "node:stream";
import { pack, type Pack } from "tar-stream";
import { BLOCK_BYTES, imageDigest, leafOf } from "../../lib/image/wire";
import { seededRandom } from "./random";

export interface ShopImageOptions {
  /** Where the image file is written; an older file there is replaced. */
  readonly path: string;
  /** What the shop says its version is. */
  readonly version: "v1" | "v2";
  /** About this many bytes. @default 48000000 */
  readonly sizeBytes?: number;
  /** Images of one seed share their content. @default 1 */
  readonly seed?: number;
}

export interface ShopImage {
  readonly path: string;
  readonly digest: string;
  readonly sizeBytes: number;
}

const DEFAULT_BYTES = 48_000_000;
/** Files of an image: enough that a small share of them can differ between two versions. */
const FILES = 24;

/**
 * Builds an image of the shop: a tar archive with `member.json`, the application, and ballast such as machine images have: text
 * (which compresses), random bytes (which do not), and runs of zeros (which need not be sent). Same options, same bytes. `v2` shares
 * all but a few per cent with `v1`: one file is new, one has lines inserted near its start, so that everything after them has moved.
 */
export async function buildShopImage(options: ShopImageOptions): Promise<ShopImage> {
  const archive = pack();
  const leaves: Buffer[] = [];
  const block = Buffer.alloc(BLOCK_BYTES);
  let sizeBytes = 0;
  const measure = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      for (let at = 0; at < chunk.length;) {
        const copied = chunk.copy(block, sizeBytes % BLOCK_BYTES, at);
        at += copied;
        sizeBytes += copied;
        if (sizeBytes % BLOCK_BYTES === 0) leaves.push(leafOf(block));
      }
      done(null, chunk);
    },
  });
  await mkdir(dirname(options.path), { recursive: true });
  const partial = `${options.path}.${process.pid}.partial`;
  const written = pipeline(archive, measure, createWriteStream(partial));
  try {
    await Promise.all([fill(archive, options), written]);
    await rename(partial, options.path);
  } catch (error) {
    archive.destroy();
    await rm(partial, { force: true });
    throw error;
  }
  const rest = sizeBytes % BLOCK_BYTES;
  if (rest > 0) leaves.push(leafOf(block.subarray(0, rest)));
  return { path: options.path, digest: imageDigest(sizeBytes, leaves), sizeBytes };
}

async function fill(archive: Pack, options: ShopImageOptions): Promise<void> {
  const seed = options.seed ?? 1;
  const fileBytes = Math.max(4_096, Math.floor((options.sizeBytes ?? DEFAULT_BYTES) / FILES));
  const member = {
    command: ["node", "app/server.js"],
    environment: { SHOP_VERSION: options.version },
  };
  await add(archive, "member.json", Buffer.from(JSON.stringify(member, null, 2) + "\n"));
  await add(archive, "app/server.js", await readFile(join(__dirname, "shop-app", "server.js")));
  for (let index = 0; index < FILES; index++) {
    const isNew = options.version === "v2" && index === 21;
    const random = seededRandom(seed * 1_000 + index + (isNew ? 500 : 0));
    const number = String(index).padStart(2, "0");
    if (index % 8 < 3) {
      const body = text(random, fileBytes);
      const moved = options.version === "v2" && index === 1;
      await add(archive, `usr/share/text-${number}.txt`, moved ? insertLines(body) : body);
    } else if (index % 8 < 6) {
      await add(archive, `usr/lib/library-${number}.bin`, noise(random, fileBytes));
    } else {
      await add(archive, `var/disk/extent-${number}.img`, sparse(random, fileBytes));
    }
  }
  archive.finalize();
}

function add(archive: Pack, name: string, body: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    archive.entry({ name, mode: 0o644, mtime: new Date(0) }, body, (error) =>
      error ? reject(error) : resolve(),
    );
  });
}

function noise(random: () => number, bytes: number): Buffer {
  const body = Buffer.alloc(bytes - (bytes % 4));
  for (let at = 0; at < body.length; at += 4) body.writeUInt32LE(Math.floor(random() * 4_294_967_296), at);
  return body;
}

/** Lines of a log or a source file: words of a small vocabulary, so that it compresses to about a quarter. */
function text(random: () => number, bytes: number): Buffer {
  const words = Array.from({ length: 512 }, () =>
    Array.from({ length: 3 + Math.floor(random() * 8) }, () =>
      String.fromCharCode(97 + Math.floor(random() * 26)),
    ).join(""),
  );
  const body = Buffer.alloc(bytes, 10);
  let at = 0;
  let inLine = 0;
  while (at < bytes) {
    const word = words[Math.floor(random() * words.length)];
    at += body.write(word, at, "latin1");
    inLine = (inLine + 1) % 12;
    if (at < bytes) body[at++] = inLine === 0 ? 10 : 32;
  }
  return body;
}

/** A part of a disk: long empty runs with a little data between them. */
function sparse(random: () => number, bytes: number): Buffer {
  const body = Buffer.alloc(bytes);
  for (let at = 0; at < bytes;) {
    const data = noise(random, Math.min(bytes - at, 4_096 * (1 + Math.floor(random() * 8))));
    data.copy(body, at);
    at += data.length + 65_536 * (1 + Math.floor(random() * 12));
  }
  return body;
}

function insertLines(body: Buffer): Buffer {
  const cut = body.indexOf(10, 2_000) + 1;
  return Buffer.concat([
    body.subarray(0, cut),
    Buffer.from("a line that version 2 added\n".repeat(3)),
    body.subarray(cut),
  ]);
}
