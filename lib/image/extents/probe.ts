import { findExt4 } from "./ext4";
import { EXT4_SUPERBLOCK_AT, EXT4_SUPERBLOCK_BYTES, ext4Kind, isExt4 } from "./ext4-superblock";
import { Doubt, type Finding, type Region } from "./region";
import { findSignature } from "./signatures";
import { findSwap } from "./swap";
import { findXfs } from "./xfs";

/** Those whose free space is read. */
const FINDERS: readonly [kind: string, find: (region: Region) => Promise<Finding | undefined>][] = [
  ["ext4", findExt4],
  ["xfs", findXfs],
  ["swap", findSwap],
];

/**
 * What a partition (or a disk without any) holds; undefined when that is not known. Where there is more than one signature, one
 * of them was left over from earlier times, and only who mounts it knows which: then all of it counts.
 */
export async function probe(region: Region): Promise<Finding | undefined> {
  const other = await findSignature(region);
  if (other) {
    const beside = await superblocksOf(region);
    if (beside.length === 0) return other;
    return { kind: other.kind, why: `${other.why}, and has a superblock of ${beside.join(" and ")} besides` };
  }
  const findings: Finding[] = [];
  for (const [kind, find] of FINDERS) {
    try {
      const finding = await find(region);
      if (finding) findings.push(finding);
    } catch (error) {
      if (!(error instanceof Doubt)) throw error;
      findings.push({ kind, why: error.message });
    }
  }
  if (findings.length <= 1) return findings[0];
  const kinds = findings.map(({ kind }) => kind).join(" and ");
  return { kind: "unknown", why: `has the signatures of ${kinds}, and which of them counts is not known` };
}

/** What seems to be there at first sight of those that are read. */
async function superblocksOf(region: Region): Promise<string[]> {
  const names: string[] = [];
  const superblock = await region.readUpTo(EXT4_SUPERBLOCK_AT, EXT4_SUPERBLOCK_BYTES);
  if (isExt4(superblock)) names.push(ext4Kind(superblock));
  if ((await region.readUpTo(0, 4)).toString("latin1") === "XFSB") names.push("xfs");
  return names;
}
