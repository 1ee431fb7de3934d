import { ExtentsBuilder } from "./extents";
import { expectThat, type Finding, type Region } from "./region";
import { visitFreeSpace } from "./xfs-free-space";
import { requireCleanXfsLog } from "./xfs-log";
import { readXfsSuperblock } from "./xfs-superblock";

/** Turns of the event loop come at least that often. */
const GROUPS_AT_A_TIME = 64;

/**
 * The blocks in use of an XFS file system that was unmounted; undefined when there is none.
 * @throws Doubt when it was not, or contradicts itself
 */
export async function findXfs(region: Region): Promise<Finding | undefined> {
  if ((await region.readUpTo(0, 4)).toString("latin1") !== "XFSB") return undefined;
  expectThat(region.length >= 512, "ends within its superblock");
  const fs = await readXfsSuperblock(region);
  await requireCleanXfsLog(region, fs);
  const builder = new ExtentsBuilder(region.length);
  // Only what the trees of free space hold is free; so this adds what lies between.
  let end = 0;
  for (let group = 0; group < fs.groups; group++) {
    const start = group * fs.groupBlocks;
    await visitFreeSpace(region, fs, group, (block, count) => {
      builder.add(end, (start + block) * fs.blockBytes);
      end = (start + block + count) * fs.blockBytes;
    });
    if (group % GROUPS_AT_A_TIME === GROUPS_AT_A_TIME - 1) await new Promise(setImmediate);
  }
  builder.add(end, region.length);
  return { kind: "xfs", inUse: builder.finish() };
}
