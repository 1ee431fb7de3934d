import { createReadStream, createWriteStream } from "node:fs";
import { chmod, link, lstat, mkdir, open, readFile, realpath, stat, statfs, symlink } from "node:fs/promises";
import { dirname, isAbsolute, join, normalize, relative, sep } from "node:path";
import { pipeline } from "node:stream/promises";
import { type Extract, extract } from "tar-stream";
import { AbortedError, SpillwayError, messageOf } from "../../../lib/errors";
import { formatBytes } from "../../../lib/duration";
import { badImage, IMAGE_FORM } from "./errors";
import { MAX_MEMBER_FILE_BYTES, type MemberFile, parseMemberFile } from "./member-file";

export interface UnpackOptions {
  readonly digest: string;
  readonly imagePath: string;
  /** An empty directory. */
  readonly directory: string;
  /** More files and folders than that are no image. @default 200000 */
  readonly maxEntries?: number;
  readonly signal: AbortSignal;
}

type Entry = Extract extends AsyncIterable<infer E> ? E : never;

interface Link {
  readonly kind: "link" | "symlink";
  readonly name: string;
  readonly target: string;
}

/**
 * Unpacks an image. Nothing is ever written outside `directory`: names and the targets of links are judged before, and links are
 * made only after the last file, so that no file is written through one.
 * @throws SpillwayError for what is no image
 */
export async function unpackImage(options: UnpackOptions): Promise<void> {
  const { digest, imagePath, directory, signal } = options;
  await mustBePlain(digest, imagePath);
  await mustFit(directory, imagePath);
  const maxEntries = options.maxEntries ?? 200_000;
  const links: Link[] = [];
  const tar = extract();
  let entries = 0;
  const reading = pipeline(createReadStream(imagePath, { highWaterMark: 256 * 1024 }), tar, { signal });
  // An archive that breaks off does not end the entry that is being written.
  const broken = new AbortController();
  reading.catch((error: unknown) => broken.abort(error));
  try {
    for await (const entry of tar) {
      if (++entries > maxEntries) {
        throw badImage(
          digest,
          `it holds more than ${maxEntries} entries`,
          "Pack the application's own files only.",
        );
      }
      const link = await place(digest, directory, entry, broken.signal);
      if (link) links.push(link);
    }
    await reading;
  } catch (error) {
    // Whichever failed first is the cause; each takes the other down with it.
    const cause: unknown = broken.signal.aborted ? broken.signal.reason : error;
    tar.destroy();
    await reading.catch(() => undefined);
    if (signal.aborted) throw new AbortedError("stopped while unpacking an image");
    if (cause instanceof SpillwayError) throw cause;
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === "ENOSPC" || code === "EDQUOT") throw full(directory, messageOf(cause));
    if (code !== undefined && /^(EEXIST|EISDIR|ENOTDIR|ENAMETOOLONG)$/.test(code)) {
      throw badImage(
        digest,
        `two of its names are in each other's way: ${messageOf(cause)}`,
        IMAGE_FORM,
        cause,
      );
    }
    if (code !== undefined && /^E[A-Z]+$/.test(code)) throw cause;
    throw badImage(digest, `it is no valid tar archive: ${messageOf(cause)}`, IMAGE_FORM, cause);
  }
  for (const one of links) await makeLink(digest, directory, one);
}

/** Reads and judges an unpacked image's `member.json`. */
export async function readMemberFile(digest: string, directory: string): Promise<MemberFile> {
  const path = join(directory, "member.json");
  const found = await stat(path).catch(() => undefined);
  if (!found?.isFile()) throw badImage(digest, "it has no file `member.json` at its root", IMAGE_FORM);
  if (found.size > MAX_MEMBER_FILE_BYTES) {
    throw badImage(digest, `its \`member.json\` has ${formatBytes(found.size)}`, IMAGE_FORM);
  }
  return parseMemberFile(digest, await readFile(path, "utf8"));
}

async function place(
  digest: string,
  directory: string,
  entry: Entry,
  signal: AbortSignal,
): Promise<Link | undefined> {
  const { header } = entry;
  const name = insideName(digest, header.name);
  const path = join(directory, name);
  switch (header.type) {
    case "directory":
      await mkdir(path, { recursive: true, mode: 0o755 });
      break;
    case "file":
    case "contiguous-file":
      await mkdir(dirname(path), { recursive: true, mode: 0o755 });
      await pipeline(entry, createWriteStream(path, { mode: 0o644 }), { signal });
      if (((header.mode ?? 0) & 0o111) !== 0) await chmod(path, 0o755);
      return undefined;
    case "symlink":
    case "link":
      entry.resume();
      return {
        kind: header.type,
        name,
        target: linkTarget(digest, header.type, name, header.linkname ?? ""),
      };
    default:
      throw badImage(
        digest,
        `\`${header.name}\` is a ${header.type ?? "thing of unknown kind"}`,
        "Only files, folders and links inside the image can be unpacked.",
      );
  }
  entry.resume();
  return undefined;
}

function insideName(digest: string, name: string): string {
  const clean = normalize(name).replace(/\/+$/, "");
  if (
    name === "" ||
    name.includes("\0") ||
    isAbsolute(name) ||
    clean === ".." ||
    clean.startsWith(`..${sep}`)
  ) {
    throw badImage(
      digest,
      `the name ${JSON.stringify(name)} leads out of the image`,
      "Pack with relative names, from the application's own folder.",
    );
  }
  return clean === "" ? "." : clean;
}

/** Relative to the image's root. */
function linkTarget(digest: string, kind: Link["kind"], name: string, target: string): string {
  const from = kind === "symlink" ? dirname(name) : ".";
  const clean = normalize(join(from, target));
  if (target === "" || isAbsolute(target) || clean === ".." || clean.startsWith(`..${sep}`)) {
    throw leadsOut(digest, name, target);
  }
  return clean;
}

function leadsOut(digest: string, name: string, target: string): SpillwayError {
  return badImage(
    digest,
    `the link \`${name}\` leads out of the image, to ${JSON.stringify(target)}`,
    "Pack the file itself, or link to one inside the image.",
  );
}

async function makeLink(digest: string, directory: string, one: Link): Promise<void> {
  const path = join(directory, one.name);
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o755 });
    if (!(await isInside(directory, dirname(path)))) throw leadsOut(digest, one.name, one.target);
    if (one.kind === "symlink") {
      const content = relative(dirname(one.name), one.target) || ".";
      // Its folder may really be less deep than its name says, when a link is among the folders.
      const leads = join(await realpath(dirname(path)), content);
      if (!within(await realpath(directory), leads)) throw leadsOut(digest, one.name, one.target);
      await symlink(content, path);
    } else {
      const target = join(directory, one.target);
      if (!(await lstat(target)).isFile()) throw new Error("its target is no file");
      if (!(await isInside(directory, target))) throw leadsOut(digest, one.name, one.target);
      await link(target, path);
    }
  } catch (error) {
    if (error instanceof SpillwayError) throw error;
    throw badImage(
      digest,
      `the link \`${one.name}\` to \`${one.target}\` cannot be made: ${messageOf(error)}`,
      "Pack the file itself.",
      error,
    );
  }
}

/** Where a path really is. What leads nowhere is inside: each link on the way was judged when it was made. */
async function isInside(directory: string, path: string): Promise<boolean> {
  const root = await realpath(directory);
  const real = await realpath(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR" || error.code === "ELOOP") return root;
    throw error;
  });
  return within(root, real);
}

function within(root: string, path: string): boolean {
  return path === root || path.startsWith(root + sep);
}

async function mustBePlain(digest: string, imagePath: string): Promise<void> {
  const file = await open(imagePath, "r");
  try {
    const start = Buffer.alloc(4);
    const { bytesRead } = await file.read(start, 0, 4, 0);
    if (bytesRead === 0) throw badImage(digest, "it is empty", IMAGE_FORM);
    const packed = { "1f8b": "gzip", "28b5": "zstd", fd37: "xz", "425a": "bzip2", "504b": "zip" }[
      start.subarray(0, 2).toString("hex")
    ];
    if (packed) {
      throw badImage(
        digest,
        `it is compressed with ${packed}`,
        `Give it uncompressed: the transfer compresses, and finds what the site holds already. ${IMAGE_FORM}`,
      );
    }
  } finally {
    await file.close();
  }
}

async function mustFit(directory: string, imagePath: string): Promise<void> {
  const { size } = await stat(imagePath);
  const disk = await statfs(directory);
  const free = disk.bavail * disk.bsize;
  if (free < size)
    throw full(directory, `unpacking takes ${formatBytes(size)}, ${formatBytes(free)} are free`);
}

function full(directory: string, detail: string): SpillwayError {
  return new SpillwayError({
    place: directory,
    problem: `the disk is full: ${detail}`,
    mend: "Free space at the site (delete images that no pool uses) and try again.",
  });
}
