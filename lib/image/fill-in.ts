import { open, type FileHandle } from "node:fs/promises";
import { formatBytes } from "../duration";
import { ChunkTable } from "./chunk-table";
import { ImageStoreError } from "./errors";
import { readIndex, type HeldChunks, type HeldImage } from "./held-chunks";
import { RunList, type ImageIndex, type Run } from "./image-index";
import type { Partial } from "./partial";

const COPY_BYTES = 1024 * 1024;
/** Copies are noted in the journal so many bytes at a time: a killed store makes the last ones again. */
const KEEP_BYTES = 8 * 1024 * 1024;

/** Neighbouring chunks that lie side by side in their source too. */
interface Copy {
  readonly first: number;
  count: number;
  /** Undefined: the arriving image itself. */
  readonly image: HeldImage | undefined;
  readonly sourceOffset: number;
  readonly offset: number;
  bytes: number;
}

interface OpenImage {
  readonly index: ImageIndex;
  readonly file: FileHandle;
}

/**
 * Fills in what other images hold and what repeats within the image. The copies are not verified: the whole image will be, and what
 * is wrong then must be sent.
 * @throws ImageStoreError `image-incomplete` when chunks are nowhere here
 */
export async function fillIn(partial: Partial, held: HeldChunks, place: string): Promise<void> {
  const sources = planSources(partial, held, place);
  const opened = await openSources(sources, held);
  const space = Buffer.alloc(COPY_BYTES);
  let copied: Run[] = [];
  let copiedBytes = 0;
  const keep = async () => {
    if (copied.length > 0) await partial.keep(copied);
    copied = [];
    copiedBytes = 0;
  };
  try {
    // Repeats come last: what they repeat may have to be copied from elsewhere first.
    for (const isRepeat of [false, true]) {
      for (const copy of copiesOf(partial.index, sources, isRepeat, held, opened)) {
        const bytes = space.subarray(0, copy.bytes);
        const filled = copy.image
          ? await readOf(opened.get(copy.image)?.file, bytes, copy.sourceOffset)
          : await partial.read(bytes, copy.sourceOffset);
        // What could not be read is not what was read before.
        bytes.fill(0, filled);
        await partial.write(bytes, copy.offset);
        copied.push([copy.first, copy.count]);
        copiedBytes += copy.bytes;
        if (copiedBytes >= KEEP_BYTES) await keep();
      }
      await keep();
    }
  } finally {
    for (const { file } of opened.values()) await file.close();
  }
}

/** How much could be read; nothing of a file that cannot be. */
async function readOf(file: FileHandle | undefined, into: Buffer, offset: number): Promise<number> {
  const read = await file?.read(into, 0, into.length, offset).catch(() => undefined);
  return read?.bytesRead ?? 0;
}

/** For each position: 0 nothing to do, n held at place n - 1, -n a repeat of position n - 1. */
function planSources(partial: Partial, held: HeldChunks, place: string): Float64Array {
  const { index } = partial;
  const own = new ChunkTable(index.count);
  for (let position = 0; position < index.count; position++) {
    if (partial.have.has(position)) own.add(index.keys, position * 4, position);
  }
  const sources = new Float64Array(index.count);
  const missing = new RunList();
  for (let position = 0; position < index.count; position++) {
    if (index.isHole(position) || partial.have.has(position)) continue;
    const at = position * 4;
    const repeated = own.find(index.keys, at);
    const elsewhere = held.find(index.keys, at);
    if (partial.mustSend.has(position)) missing.add(position);
    else if (repeated !== undefined) sources[position] = -repeated - 1;
    else if (elsewhere !== undefined) {
      sources[position] = elsewhere + 1;
      own.add(index.keys, at, position);
    } else missing.add(position);
  }
  if (missing.runs.length === 0) return sources;
  throw new ImageStoreError("image-incomplete", {
    place,
    problem: `${formatBytes(partial.index.bytesOf(missing.runs))} of the image are still missing, first at offset ${index.offsetOf(missing.runs[0][0])}`,
    mend: "Push the image again: only what is missing will be sent.",
  });
}

/** The images that chunks are copied from; one that cannot be opened is left out, and its chunks will be found wrong. */
async function openSources(sources: Float64Array, held: HeldChunks): Promise<Map<HeldImage, OpenImage>> {
  const images = new Set<HeldImage>();
  for (const source of sources) if (source > 0) images.add(held.place(source - 1).image);
  const opened = new Map<HeldImage, OpenImage>();
  for (const image of images) {
    const index = await readIndex(image);
    const file = index && (await open(image.imagePath, "r").catch(() => undefined));
    if (index && file) opened.set(image, { index, file });
  }
  return opened;
}

function* copiesOf(
  index: ImageIndex,
  sources: Float64Array,
  isRepeat: boolean,
  held: HeldChunks,
  opened: ReadonlyMap<HeldImage, OpenImage>,
): Generator<Copy> {
  let copy: Copy | undefined;
  let offset = 0;
  for (let position = 0; position < index.count; position++) {
    const length = index.lengthOf(position);
    const source = sources[position];
    if (source !== 0 && source < 0 === isRepeat) {
      const found = isRepeat ? undefined : held.place(source - 1);
      const sourceIndex = found ? opened.get(found.image)?.index : index;
      const from = sourceIndex?.offsetOf(found?.position ?? -source - 1) ?? 0;
      if (
        copy &&
        copy.image === found?.image &&
        copy.first + copy.count === position &&
        copy.sourceOffset + copy.bytes === from &&
        copy.bytes + length <= COPY_BYTES
      ) {
        copy.count++;
        copy.bytes += length;
      } else {
        if (copy) yield copy;
        copy = { first: position, count: 1, image: found?.image, sourceOffset: from, offset, bytes: length };
      }
    }
    offset += length;
  }
  if (copy) yield copy;
}
