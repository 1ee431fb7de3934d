import { borg } from "./tools/borg.mjs";
import { rsync, rsyncInplace } from "./tools/rsync.mjs";
import { spillway } from "./tools/spillway.mjs";
import { spillwaySsh } from "./tools/spillway-ssh.mjs";
import { zstdNc, zstdNcTrimmed } from "./tools/zstd-nc.mjs";

/**
 * What is measured: the second version of a disk goes to a site that holds nothing, the first version (warm) or an unrelated disk.
 * "exact" wants every bit; the others want what the file system has in use. `tools` are those of which something can be expected.
 */
export const CASES = [
  {
    name: "cold-fs",
    title: "cold, in use",
    lossPercent: 0,
    exact: false,
    tools: [spillway, spillwaySsh, rsync, zstdNc, zstdNcTrimmed, borg],
  },
  {
    name: "warm-fs",
    title: "warm, in use",
    held: "first",
    lossPercent: 0,
    exact: false,
    tools: [spillway, spillwaySsh, rsync, rsyncInplace, borg],
  },
  {
    name: "warm-exact",
    title: "warm, bit by bit",
    held: "first",
    lossPercent: 0,
    exact: true,
    tools: [spillway, spillwaySsh, rsync, rsyncInplace, borg],
  },
  {
    name: "warm-fs-loss-0.1",
    title: "warm, in use, 0.1 % loss",
    held: "first",
    lossPercent: 0.1,
    exact: false,
    tools: [spillway, spillwaySsh, rsyncInplace],
  },
  {
    name: "warm-fs-loss-1",
    title: "warm, in use, 1 % loss",
    held: "first",
    lossPercent: 1,
    exact: false,
    tools: [spillway, spillwaySsh, rsyncInplace],
  },
  {
    name: "cold-fs-related",
    title: "in use, an unrelated disk is there",
    held: "unrelated",
    lossPercent: 0,
    exact: false,
    tools: [spillway, spillwaySsh, rsync, borg],
  },
];
