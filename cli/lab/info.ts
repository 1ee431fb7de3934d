import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
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

export function readLabInfo(dir: string): LabInfo | undefined {
  const file = fileOf(dir);
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as LabInfo) : undefined;
}

export function writeLabInfo(dir: string, info: LabInfo): void {
  const temporary = `${fileOf(dir)}.${process.pid}`;
  writeFileSync(temporary, `${JSON.stringify(info, null, 2)}\n`);
  renameSync(temporary, fileOf(dir));
}

export function removeLabInfo(dir: string): void {
  rmSync(fileOf(dir), { force: true });
}
