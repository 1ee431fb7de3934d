import { mkdir, open, readFile, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { SpillwayError, messageOf } from "../../../lib/errors";
import type { ProcessHandle } from "../process";

/** What the launcher remembers of one launch. Written before the process is started, and again when it is known. */
export interface MemberRecord {
  readonly id: string;
  readonly digest: string;
  readonly address: string;
  readonly port: number;
  /** Names this launch's claim file. */
  readonly attempt: string;
  readonly process?: ProcessHandle;
}

/** The records of all members of a site: one small file each. */
export class MemberRecords {
  constructor(private readonly directory: string) {}

  async open(): Promise<void> {
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
  }

  async read(id: string): Promise<MemberRecord | undefined> {
    const path = this.path(id);
    let text: string;
    try {
      text = await readFile(path, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
    try {
      return JSON.parse(text) as MemberRecord;
    } catch (error) {
      throw new SpillwayError(
        {
          place: path,
          problem: `the record of member ${id} cannot be read: ${messageOf(error)}`,
          mend: "Somebody else wrote into it; end the member's process by hand and remove the file.",
        },
        { cause: error },
      );
    }
  }

  /** Whole or not at all. */
  async write(record: MemberRecord): Promise<void> {
    const path = this.path(record.id);
    const file = await open(`${path}.new`, "w", 0o600);
    try {
      await file.writeFile(`${JSON.stringify(record)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(`${path}.new`, path);
  }

  /** Removes the record, then the claims of its launches. */
  async remove(id: string): Promise<void> {
    await rm(this.path(id), { force: true });
    const left = (await readdir(this.directory)).filter((name) => name.startsWith(`${id}.`));
    await Promise.all(left.map((name) => rm(join(this.directory, name), { force: true })));
  }

  claimFile(record: Pick<MemberRecord, "id" | "attempt">): string {
    return join(this.directory, `${record.id}.${record.attempt}.claim`);
  }

  /** Ports that members have been given. */
  async ports(): Promise<Set<number>> {
    const names = (await readdir(this.directory)).filter((name) => name.endsWith(".json"));
    const records = await Promise.all(names.map((name) => this.read(name.slice(0, -".json".length))));
    return new Set(records.flatMap((record) => (record ? [record.port] : [])));
  }

  private path(id: string): string {
    return join(this.directory, `${id}.json`);
  }
}
