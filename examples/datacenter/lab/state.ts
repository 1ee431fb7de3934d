import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SpillwayError, messageOf } from "../../../lib/errors";
import type { ProcessHandle } from "../../../lib/process-identity";
import type { Line, PartName, Place, SiteAccess, SiteName } from "./options";

/** What a lab is, for whoever ends it and for the stack beside it: `lab.json` in its directory. Holds no secret. */
export interface LabState {
  readonly version: 1;
  readonly id: string;
  readonly dir: string;
  /** It ends with this process. Undefined: it stays until somebody ends it. */
  readonly owner?: ProcessHandle;
  readonly namespaces: Readonly<Record<Place, string>>;
  readonly processes: Readonly<Partial<Record<PartName, ProcessHandle>>>;
  readonly cut: readonly Line[];
  readonly zone: string;
  readonly port: number;
  readonly sites: Readonly<Record<SiteName, SiteAccess>>;
  readonly nameServer: { readonly host: string; readonly port: number };
  readonly powerdns: { readonly api: string; readonly keyFile: string };
  readonly prometheus?: { readonly endpoint: string };
}

const fileOf = (dir: string): string => join(dir, "lab.json");

/** @throws SpillwayError for a file that is no lab's */
export function readLab(dir: string): LabState | undefined {
  const file = fileOf(dir);
  if (!existsSync(file)) return undefined;
  const refuse = (problem: string, cause?: unknown) =>
    new SpillwayError(
      { place: file, problem, mend: "See with `ip netns` what is left of the lab; then remove the file." },
      { cause },
    );
  let state: Partial<LabState>;
  try {
    state = JSON.parse(readFileSync(file, "utf8")) as Partial<LabState>;
  } catch (error) {
    throw refuse(`it cannot be read as JSON: ${messageOf(error)}`, error);
  }
  if (state.version !== 1)
    throw refuse(`it has version ${JSON.stringify(state.version)}, and only 1 is understood`);
  return state as LabState;
}

/** Whole or not at all: it is what a lab is found by after a crash. */
export function writeLab(state: LabState): void {
  const file = fileOf(state.dir);
  writeFileSync(`${file}.new`, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

/** What one process knows of a lab, and writes down with each change. */
export class LabFile {
  constructor(private state: LabState) {
    writeLab(state);
  }

  get now(): LabState {
    return this.state;
  }

  change(change: Partial<LabState>): void {
    this.state = { ...this.state, ...change };
    writeLab(this.state);
  }
}
