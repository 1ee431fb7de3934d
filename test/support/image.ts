import { createCipheriv, createHash } from "node:crypto";
import { createWriteStream, mkdirSync, readFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { pack } from "tar-stream";
import { BLOCK_BYTES, blockCountOf, blockLengthOf, ImageDigest, leafOf } from "../../lib/image/wire";

export interface ImageOptions {
  /** Where the file is written. */
  readonly dir: string;
  /** About how large it is to be. @default 100000 */
  readonly bytes?: number;
  /** The same seed and size give the same padding: images of two versions then differ in a few bytes only. @default 1 */
  readonly seed?: number;
  /** What its members say they are. @default "1" */
  readonly version?: string;
  readonly behaviour?: {
    readonly startDelayMs?: number;
    readonly unhealthy?: boolean;
    readonly crashAfterMs?: number;
    readonly ignoreSigterm?: boolean;
  };
}

export interface MadeImage {
  readonly path: string;
  /** `sha256:` and 64 hex digits. */
  readonly digest: string;
  readonly bytes: number;
}

const PIECE_BYTES = 64 * 1024;

/** Makes an image of the embedded launcher: `member-program.cjs`, padded with text and random bytes in turn. */
export async function makeImage(options: ImageOptions): Promise<MadeImage> {
  const { dir, bytes = 100_000, seed = 1, version = "1", behaviour = {} } = options;
  mkdirSync(dir, { recursive: true });
  const args = [
    ...(behaviour.startDelayMs === undefined ? [] : ["--start-delay", String(behaviour.startDelayMs)]),
    ...(behaviour.crashAfterMs === undefined ? [] : ["--crash-after", String(behaviour.crashAfterMs)]),
    ...(behaviour.unhealthy ? ["--unhealthy"] : []),
    ...(behaviour.ignoreSigterm ? ["--ignore-sigterm"] : []),
  ];
  const path = join(dir, `image-${version}-${seed}-${bytes}-${args.join("")}.tar`);
  const tar = pack();
  const writing = pipeline(tar, createWriteStream(path));
  const mtime = new Date(1_700_000_000_000);
  const file = (name: string, content: string | Buffer) => tar.entry({ name, mtime, mode: 0o644 }, content);
  file("member.json", JSON.stringify({ command: ["node", "app/server.cjs", ...args] }));
  file("app/server.cjs", readFileSync(join(__dirname, "member-program.cjs")));
  file("app/version.json", JSON.stringify({ version }));
  const padding = Math.max(0, bytes - 12_000);
  if (padding > 0) {
    await new Promise<void>((resolve, reject) => {
      const entry = tar.entry({ name: "data/padding", mtime, size: padding }, (error) =>
        error ? reject(error) : resolve(),
      );
      void pipeline(Readable.from(paddingOf(seed, padding)), entry).catch(reject);
    });
  }
  tar.finalize();
  await writing;
  return { path, ...(await digestOf(path)) };
}

function* paddingOf(seed: number, bytes: number): Generator<Buffer> {
  const key = createHash("sha256").update(`spillway ${seed}`).digest();
  const random = createCipheriv("aes-256-ctr", key, Buffer.alloc(16));
  const zeros = Buffer.alloc(PIECE_BYTES);
  for (let at = 0, block = 0; at < bytes; at += PIECE_BYTES, block++) {
    const content =
      block % 2 === 0
        ? random.update(zeros)
        : Buffer.alloc(
            PIECE_BYTES,
            `seed ${seed}, block ${block}: text that compresses well, over and over again\n`,
          );
    yield content.subarray(0, Math.min(PIECE_BYTES, bytes - at));
  }
}

/** The digest of an image of which everything counts: a file without a file system that is known. */
export async function digestOf(path: string): Promise<{ digest: string; bytes: number }> {
  const file = await open(path, "r");
  try {
    const { size: bytes } = await file.stat();
    const digest = new ImageDigest(bytes);
    for (let block = 0; block < blockCountOf(bytes); block++) {
      const content = Buffer.alloc(blockLengthOf(bytes, block));
      await file.read(content, 0, content.length, block * BLOCK_BYTES);
      digest.add(leafOf(content));
    }
    return { digest: digest.finish(), bytes };
  } finally {
    await file.close();
  }
}
