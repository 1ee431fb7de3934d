import { existsSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readLab } from "./state";
import { isThere, tearDown } from "./tear-down";

/** Labs without a directory of their user's are kept in folders of this name. */
export const FOLDER_PREFIX = "spillway-datacenter-";

/** Ends labs whose owners were killed before they could. @returns their directories */
export function endAbandoned(): string[] {
  const ended: string[] = [];
  for (const name of readdirSync(tmpdir())) {
    const dir = join(tmpdir(), name);
    if (!name.startsWith(FOLDER_PREFIX) || !existsSync(join(dir, "lab.json"))) continue;
    const state = readLab(dir);
    if (state?.owner === undefined || isThere(state.owner)) continue;
    tearDown(state);
    ended.push(dir);
  }
  return ended;
}

/** Ends the lab in a directory, whoever laid it out. @returns whether there was one */
export function endLab(dir: string): boolean {
  const state = readLab(dir);
  if (state === undefined) return false;
  tearDown(state);
  return true;
}
