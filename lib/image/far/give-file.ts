import { open } from "node:fs/promises";
import { AbortedError } from "../../errors";
import type { TakePiece } from "../wire/target";
import { ifThere } from "./files";

const PIECE_BYTES = 256 * 1024;

/**
 * Gives the bytes of a file, piece by piece.
 * @returns false when there is no such file
 * @throws AbortedError
 */
export async function giveFile(path: string, take: TakePiece, signal?: AbortSignal): Promise<boolean> {
  const file = await ifThere(open(path, "r"));
  if (!file) return false;
  try {
    const space = Buffer.allocUnsafe(PIECE_BYTES);
    for (;;) {
      if (signal?.aborted) throw new AbortedError("stopped");
      const { bytesRead } = await file.read(space, 0, space.length);
      if (bytesRead === 0) return true;
      await take(space.subarray(0, bytesRead));
    }
  } finally {
    await file.close();
  }
}
