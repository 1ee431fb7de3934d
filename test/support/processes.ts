import { readFileSync, readdirSync, readlinkSync } from "node:fs";

/** Ids of live processes that run in `directory`, or as member `member` there. Linux; elsewhere none are found. */
export function processesOf(directory: string, member?: string): number[] {
  const found: number[] = [];
  let names: string[];
  try {
    names = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  } catch {
    return [];
  }
  for (const name of names) {
    try {
      if (!readlinkSync(`/proc/${name}/cwd`).startsWith(directory)) continue;
      if (/\) [ZX] /.test(readFileSync(`/proc/${name}/stat`, "utf8"))) continue;
      const environment = readFileSync(`/proc/${name}/environ`, "utf8").split("\0");
      if (member === undefined || environment.includes(`SPILLWAY_MEMBER=${member}`)) found.push(Number(name));
    } catch {
      // It ended while it was looked at, or is another user's.
    }
  }
  return found.sort((a, b) => a - b);
}
