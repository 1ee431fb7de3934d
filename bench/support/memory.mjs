import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** The most memory that a process ever had, in bytes; where the system does not say that, what it has now. */
export function peakOf(pid) {
  if (process.platform !== "linux") {
    return Number(execFileSync("ps", ["-o", "rss=", "-p", String(pid)], { encoding: "utf8" })) * 1_024;
  }
  return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1_024;
}
