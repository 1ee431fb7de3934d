import type { ImageTarget, TargetCallOptions } from "../../../../lib/image/wire/target";

/** The whole of an index, as a target gives it; undefined when it does not hold the image. */
export async function fetchedIndex(
  target: Pick<ImageTarget, "fetchIndex">,
  digest: string,
  options?: TargetCallOptions,
): Promise<Buffer | undefined> {
  const pieces: Buffer[] = [];
  const isHeld = await target.fetchIndex(
    digest,
    async (piece) => {
      // Copied: the piece's memory may be used again.
      pieces.push(Buffer.from(piece));
    },
    options,
  );
  return isHeld ? Buffer.concat(pieces) : undefined;
}
