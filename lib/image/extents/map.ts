import type { ImageSource } from "../source/source";
import { ExtentsBuilder, type Extents } from "./extents";
import { readLayout, type Part } from "./layout";
import { Region } from "./region";

/** What one part of a disk was found to be, and what follows from that. */
export interface PartReport {
  /** Where it begins, in bytes from the disk's beginning. */
  readonly offset: number;
  readonly length: number;
  /** `ext4`, `xfs`, `swap`, `gap` (between partitions), `luks`, `unknown` ... */
  readonly kind: string;
  /** Whether only its blocks in use are sent, or all of it bit by bit. */
  readonly treated: "in-use" | "exact";
  /** Why exact, in a sentence; undefined for in-use. */
  readonly why?: string;
  /** To be read and sent: allocated, and in use. */
  readonly inUseBytes: number;
}

/** Which bytes of a disk count. */
export interface ExtentMap {
  readonly sizeBytes: number;
  /** To be read and sent; everything else is zeros in the canonical image. */
  readonly inUse: Extents;
  /** By ascending offset. */
  readonly parts: readonly PartReport[];
}

export interface MapOptions {
  /** Every allocated byte counts, free blocks too. @default false */
  readonly exact?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * Finds out which bytes of a disk are in use: what its partition table and its file systems say is free needs no sending.
 * Whatever is not known, or in doubt, counts as in use, and the report says why: strange content is no error.
 * @throws SpillwayError when the image cannot be read
 * @throws AbortedError
 */
export async function mapExtents(source: ImageSource, options: MapOptions = {}): Promise<ExtentMap> {
  const { sizeBytes } = source;
  const allocated = await source.allocated();
  const disk = new Region(source, 0, sizeBytes, options.signal);
  const parts = options.exact ? [bitByBit(sizeBytes)] : await readLayout(disk);
  const inUse = usageOf(parts, sizeBytes).intersect(allocated);
  return { sizeBytes, inUse, parts: reportOf(parts, sizeBytes, inUse) };
}

function bitByBit(length: number): Part {
  return { offset: 0, length, finding: { kind: "disk", why: "is to be copied bit by bit" } };
}

/** What the parts have in use, and all that lies between them. */
function usageOf(parts: readonly Part[], sizeBytes: number): Extents {
  const builder = new ExtentsBuilder(sizeBytes);
  let end = 0;
  for (const { offset, length, finding } of parts) {
    builder.add(end, offset);
    if ("inUse" in finding) {
      for (let i = 0; i < finding.inUse.count; i++) {
        builder.add(
          offset + finding.inUse.start(i),
          Math.min(offset + finding.inUse.end(i), offset + length),
        );
      }
    } else {
      builder.add(offset, offset + length);
    }
    end = Math.max(end, offset + length);
  }
  builder.add(end, sizeBytes);
  return builder.finish();
}

function reportOf(parts: readonly Part[], sizeBytes: number, inUse: Extents): PartReport[] {
  const reports: PartReport[] = [];
  const report = (offset: number, length: number, kind: string, why: string | undefined) => {
    const inUseBytes = inUse.bytesWithin(offset, offset + length);
    reports.push(
      why === undefined
        ? { offset, length, kind, treated: "in-use", inUseBytes }
        : { offset, length, kind, treated: "exact", why, inUseBytes },
    );
  };
  let end = 0;
  const gap = (until: number) => {
    if (until > end) report(end, until - end, "gap", "it belongs to no partition");
  };
  for (const { offset, length, finding } of parts) {
    gap(offset);
    report(offset, length, finding.kind, "why" in finding ? `it ${finding.why}` : undefined);
    end = Math.max(end, offset + length);
  }
  gap(sizeBytes);
  return reports;
}
