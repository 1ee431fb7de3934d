import { existsSync, linkSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { messageOf, SpillwayError } from "../../lib/errors";
import type { BurstPolicy } from "../../lib/hook";
import type { ProcessHandle } from "../../providers/local/process";

/** One site of a lab, as `lab.json` tells of it. Paths are absolute. The token is in its file, never here. */
export interface LabSite {
  readonly endpoint: string;
  /** The address its balancer and its members listen on: what the global record answers with. */
  readonly address: string;
  readonly tokenFile: string;
  readonly stateDir: string;
}

/** What a running lab is: written to `lab.json` in its directory, for stacks, the demo and tests to find it. */
export interface LabInfo {
  readonly version: 1;
  readonly lab: ProcessHandle;
  readonly sites: { readonly onprem: LabSite; readonly cloud: LabSite };
  readonly nameServer: { readonly endpoint: string };
  /** At which both sites serve the application. */
  readonly port: number;
  readonly image?: { readonly path: string };
  readonly policy?: Partial<BurstPolicy>;
}

const fileOf = (dir: string): string => join(dir, "lab.json");

/** @throws SpillwayError for a file that is no lab's */
export function readLabInfo(dir: string): LabInfo | undefined {
  const file = fileOf(dir);
  if (!existsSync(file)) return undefined;
  const refuse = (problem: string, cause?: unknown) =>
    new SpillwayError(
      { place: file, problem, mend: "Remove it if no lab runs here; `spillway lab` writes it anew." },
      { cause },
    );
  let info: Partial<LabInfo>;
  try {
    info = JSON.parse(readFileSync(file, "utf8")) as Partial<LabInfo>;
  } catch (error) {
    throw refuse(`it cannot be read as JSON: ${messageOf(error)}`, error);
  }
  if (info.version !== 1)
    throw refuse(`it has version ${JSON.stringify(info.version)}, and only 1 is understood`);
  return info as LabInfo;
}

/** Of two labs that start in one directory at once, only one gets to write it. @returns whether this one did */
export function writeLabInfo(dir: string, info: LabInfo): boolean {
  const temporary = `${fileOf(dir)}.${process.pid}`;
  writeFileSync(temporary, `${JSON.stringify(info, null, 2)}\n`);
  try {
    linkSync(temporary, fileOf(dir));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
}

export function removeLabInfo(dir: string): void {
  rmSync(fileOf(dir), { force: true });
}
