import { Extents } from "../extents/extents";
import type { SourceFile } from "./file";
import { allocatedRanges } from "./holes";
import { requireInside, type ImageSource } from "./source";

/** An image whose file is the disk, byte for byte. */
export class RawSource implements ImageSource {
  readonly format = "raw";

  constructor(private readonly file: SourceFile) {}

  get path(): string {
    return this.file.path;
  }

  get sizeBytes(): number {
    return this.file.sizeBytes;
  }

  get identity(): ImageSource["identity"] {
    return this.file.identity;
  }

  async read(into: Uint8Array, offset: number): Promise<void> {
    requireInside(this.sizeBytes, offset, into.length);
    await this.file.read(into, offset);
  }

  async allocated(): Promise<Extents> {
    return (await allocatedRanges(this.file)) ?? Extents.whole(this.sizeBytes);
  }

  requireUnchanged(): Promise<void> {
    return this.file.requireUnchanged();
  }

  close(): Promise<void> {
    return this.file.close();
  }
}
