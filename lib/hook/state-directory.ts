import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Where a burst's hook keeps what is its own: `.spillway/NAME` beside `cdktf.json`. */
export interface StateDirectory {
  readonly path: string;
  readonly journal: string;
  readonly lease: string;
  readonly status: string;
}

export function stateDirectory(projectDirectory: string, burst: string): StateDirectory {
  const path = join(projectDirectory, ".spillway", burst);
  return {
    path,
    journal: join(path, "journal.jsonl"),
    lease: join(path, "lease.json"),
    status: join(path, "status.json"),
  };
}

/** Makes the directory, and keeps it out of version control: it is of this machine. */
export function prepareStateDirectory(directory: StateDirectory, projectDirectory: string): void {
  mkdirSync(directory.path, { recursive: true });
  const ignore = join(projectDirectory, ".spillway", ".gitignore");
  if (!existsSync(ignore)) writeFileSync(ignore, "*\n");
}

/**
 * A folder for plan files, which hold configuration in clear: readable by its owner only. What a killed run left behind is removed
 * first, so this is for the holder of the lease.
 */
export function makeScratch(directory: StateDirectory): string {
  for (const name of readdirSync(directory.path)) {
    if (name.startsWith("scratch-")) rmSync(join(directory.path, name), { recursive: true, force: true });
  }
  const scratch = mkdtempSync(join(directory.path, "scratch-"));
  chmodSync(scratch, 0o700);
  return scratch;
}
