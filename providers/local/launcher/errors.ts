import { SpillwayError } from "../../../lib/errors";

/** The image's bytes are what was sent, but they are no image that this launcher can start. */
export function badImage(digest: string, problem: string, mend: string, cause?: unknown): SpillwayError {
  return new SpillwayError({ place: `image ${short(digest)}`, problem, mend }, { cause });
}

/** What an image of the embedded launcher looks like, for the last sentence of errors. */
export const IMAGE_FORM =
  'An image is a plain tar archive with `member.json` at its root: {"command": ["node", "app/server.js"], "environment": {}}.';

function short(digest: string): string {
  return digest.length > 24 ? `${digest.slice(0, 19)}…` : digest;
}
