import { constants } from "node:fs";
import { open, realpath, type FileHandle } from "node:fs/promises";
import { formatBytes } from "../../duration";
import { SpillwayError, messageOf } from "../../errors";
import { identityOf, sameFile, type FileIdentity } from "./identity";
import { MAX_IMAGE_BYTES } from "../limits";
import { BlockDevice, sizeByReading } from "./device";

/** The open file that an image lies in: a regular file or a block device. */
export class SourceFile {
  private constructor(
    readonly path: string,
    private readonly handle: FileHandle,
    readonly identity: FileIdentity,
    /** Of the file. */
    readonly sizeBytes: number,
    /** What the file takes on its disk; undefined for a device. */
    readonly takenBytes: number | undefined,
    private readonly device?: { readonly told: BlockDevice; readonly writeCount: string | undefined },
  ) {}

  /** @throws SpillwayError when there is no such file, it is empty or too large, or it cannot be read */
  static async open(path: string): Promise<SourceFile> {
    const handle = await openHandle(path);
    try {
      const stat = await handle.stat({ bigint: true });
      if (!stat.isFile() && !stat.isBlockDevice()) {
        throw unusable(path, `"${path}" is ${stat.isDirectory() ? "a directory" : "not a regular file"}`);
      }
      const device = stat.isFile() ? undefined : new BlockDevice(stat.rdev);
      const writeCount = await device?.writeCount();
      const sizeBytes = device ? await deviceSize(device, path, handle) : Number(stat.size);
      if (sizeBytes === 0) throw unusable(path, `the image file "${path}" is empty`);
      if (sizeBytes > MAX_IMAGE_BYTES) {
        throw unusable(
          path,
          `the image file "${path}" has ${formatBytes(sizeBytes)}, more than ${formatBytes(MAX_IMAGE_BYTES)}`,
        );
      }
      const identity = identityOf(await realpath(path), stat);
      if (!device) {
        return new SourceFile(path, handle, identity, sizeBytes, Number(stat.blocks) * 512);
      }
      // Writing to a device changes no time of its node, so nothing that was kept for it may ever be found again.
      const openedNs = process.hrtime.bigint() + BigInt(Date.now()) * 1_000_000n;
      const once = { ...identity, size: BigInt(sizeBytes), mtimeNs: openedNs, ctimeNs: openedNs };
      return new SourceFile(path, handle, once, sizeBytes, undefined, { told: device, writeCount });
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** For passing the file to a program. */
  get fd(): number {
    return this.handle.fd;
  }

  /**
   * Fills all of `into` with the file's bytes from `offset` on.
   * @throws SpillwayError when they cannot be read, or the file has become shorter
   */
  async read(into: Uint8Array, offset: number): Promise<void> {
    for (let done = 0; done < into.length;) {
      const { bytesRead } = await this.handle
        .read(into, done, into.length - done, offset + done)
        .catch((error) => {
          throw unreadable(this.path, offset + done, error);
        });
      if (bytesRead === 0) throw sourceChanged(this.path, "while it was being read");
      done += bytesRead;
    }
  }

  /** @throws SpillwayError when the file is no longer what it was when it was opened */
  async requireUnchanged(): Promise<void> {
    if (this.device) {
      const { told, writeCount } = this.device;
      if (writeCount !== (await told.writeCount())) throw deviceWritten(this.path);
      return;
    }
    const now = identityOf(this.identity.path, await this.handle.stat({ bigint: true }));
    if (!sameFile(this.identity, now)) throw sourceChanged(this.path, "while it was being read");
  }

  close(): Promise<void> {
    return this.handle.close();
  }
}

/** The error for a source that is no longer what it was. */
export function sourceChanged(path: string, when: string): SpillwayError {
  return new SpillwayError({
    place: path,
    problem: `the image file "${path}" was changed ${when}`,
    mend: "Let nothing write to it (a machine that runs from it does), or give a copy as `source`; then try again.",
    attribute: ["source"],
  });
}

function deviceWritten(path: string): SpillwayError {
  return new SpillwayError({
    place: path,
    problem: `the device "${path}" was written to while it was being read`,
    mend: "Unmount it (or mount it read-only) and let no machine run from it, or give a snapshot of it as `source`; then try again.",
    attribute: ["source"],
  });
}

async function openHandle(path: string): Promise<FileHandle> {
  try {
    // Not waiting for a writer at the other end, should it be a pipe.
    return await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    throw new SpillwayError(
      {
        place: path,
        problem: missing
          ? `there is no image file "${path}"`
          : `the image file "${path}" cannot be read: ${messageOf(error)}`,
        mend: missing
          ? "Correct `source`: the path of the image at the machine where this runs."
          : "Make it readable for the user who runs this.",
        attribute: ["source"],
      },
      { cause: error },
    );
  }
}

function unusable(path: string, problem: string): SpillwayError {
  return new SpillwayError({
    place: path,
    problem,
    mend: "Give the path of an image file as `source`.",
    attribute: ["source"],
  });
}

function unreadable(path: string, offset: number, error: unknown): SpillwayError {
  return new SpillwayError(
    {
      place: `${path}, offset ${offset}`,
      problem: `the image file "${path}" cannot be read at offset ${offset}: ${messageOf(error)}`,
      mend: "Look at the disk it lies on, then try again.",
      attribute: ["source"],
    },
    { cause: error },
  );
}

async function deviceSize(device: BlockDevice, path: string, handle: FileHandle): Promise<number> {
  const told = await device.sizeBytes();
  if (told !== undefined) return told;
  const probe = Buffer.alloc(1);
  return sizeByReading(async (offset) => {
    try {
      return (await handle.read(probe, 0, 1, offset)).bytesRead;
    } catch (error) {
      throw Object.assign(unreadable(path, offset, error), { code: (error as NodeJS.ErrnoException).code });
    }
  });
}
