import type { KnownSnapshot } from "./service";

/** The tags by which our snapshots are known again. A contract: they outlive any one version of this program. */
export const TAG = {
  /** The image's digest. */
  image: "spillway:image",
  /** Bytes of the image: the volume may be larger. */
  size: "spillway:size",
  /** Which images are versions of one another: the name of the file. */
  lineage: "spillway:lineage",
  /** Id of the parent snapshot. */
  parent: "spillway:parent",
  /** Which blocks are written: who plans the same may go on with it. */
  plan: "spillway:plan",
  /** Written when all is there. */
  complete: "spillway:complete",
} as const;

export const TAG_PREFIX = "spillway:";

/** Is all of it there, and does its service say so? */
export function isComplete({ state, tags }: KnownSnapshot): boolean {
  return state === "completed" && tags[TAG.complete] === "true";
}

/** A value that a tag may have: at most 256 letters, digits, spaces and `+-=._:/@`. */
export function tagValue(text: string): string {
  return text.replace(/[^\p{L}\p{N} +\-=._:/@]/gu, "_").slice(0, 256);
}
