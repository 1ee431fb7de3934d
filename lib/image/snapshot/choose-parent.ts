import type { KnownSnapshot } from "./service";
import { isComplete, TAG } from "./tags";

/** What a snapshot is to be, as far as it limits who can be its parent. */
export interface Heir {
  readonly digest: string;
  readonly lineage: string;
  readonly volumeGib: number;
  readonly encrypted: boolean;
  readonly kmsKeyId?: string;
}

/** A snapshot that could be the parent. */
export interface Candidate {
  readonly snapshot: KnownSnapshot;
  /** Blocks that would have to be written; undefined while it is not known what it consists of. */
  readonly writes?: number;
}

/** Below this share of what no parent would take, nothing better is looked for. */
const GOOD_ENOUGH = 0.8;

/** Which of our snapshots can be the parent at all, the newest first. A parent decides on encryption, and cannot be larger. */
export function possibleParents(ours: readonly KnownSnapshot[], heir: Heir): readonly KnownSnapshot[] {
  return ours
    .filter(
      (one) =>
        isComplete(one) &&
        one.volumeGib <= heir.volumeGib &&
        one.encrypted === heir.encrypted &&
        (heir.kmsKeyId === undefined || isSameKey(one.kmsKeyId, heir.kmsKeyId)),
    )
    .sort((one, other) => other.startedAt - one.startedAt);
}

/** What to do next about a parent. */
export type ParentDecision =
  | { readonly parent: KnownSnapshot }
  /** It is not known what this one consists of, and may be worth finding out. */
  | { readonly ask: KnownSnapshot }
  | "none";

/**
 * The parent that leaves the fewest blocks to write. One that nothing is known of is asked only when it is the newest of the same
 * lineage and none that is known would do.
 * @param candidates the newest first
 * @param writesAlone blocks to write without any parent
 */
export function chooseParent(
  candidates: readonly Candidate[],
  writesAlone: number,
  lineage: string,
): ParentDecision {
  const known = candidates.filter(({ writes }) => writes !== undefined && writes < writesAlone);
  const best = known.reduce<Candidate | undefined>(
    (found, one) => (found === undefined || (one.writes ?? 0) < (found.writes ?? 0) ? one : found),
    undefined,
  );
  if (best && (best.writes ?? 0) <= writesAlone * GOOD_ENOUGH) return { parent: best.snapshot };
  const newest = candidates.find(({ snapshot }) => snapshot.tags[TAG.lineage] === lineage);
  if (newest && newest.writes === undefined) return { ask: newest.snapshot };
  return best ? { parent: best.snapshot } : "none";
}

/** A key is named by its ARN or by its id. */
export function isSameKey(one: string | undefined, other: string): boolean {
  return one !== undefined && (one === other || one.endsWith(`/${other}`) || other.endsWith(`/${one}`));
}
