import { truncateSync } from "node:fs";
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";

const LAST_WORDS_BYTES = 4096;
const MAX_LOG_BYTES = 16 * 1024 * 1024;
const MAX_LOGS = 200;

/** What members print: one file for each, which a new launch starts afresh (the one before is kept as `.before`). */
export class MemberLogs {
  constructor(private readonly directory: string) {}

  async open(): Promise<void> {
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
  }

  path(id: string): string {
    return join(this.directory, `${id}.log`);
  }

  /** Makes room for a new launch of `id`. */
  async begin(id: string): Promise<void> {
    const path = this.path(id);
    await rename(path, `${path}.before`).catch(() => undefined);
    await this.prune();
  }

  /** The last 4 KB. Empty when nothing was kept. */
  async lastWords(id: string): Promise<string> {
    const file = await open(this.path(id), "r").catch(() => undefined);
    if (!file) return "";
    try {
      const { size } = await file.stat();
      const bytes = Buffer.alloc(Math.min(size, LAST_WORDS_BYTES));
      const { bytesRead } = await file.read(bytes, 0, bytes.length, size - bytes.length);
      return bytes.subarray(0, bytesRead).toString("utf8").trim();
    } finally {
      await file.close();
    }
  }

  /** A member writes to its log without end; one that got too long starts again. */
  async limit(id: string): Promise<void> {
    const found = await stat(this.path(id)).catch(() => undefined);
    if (found && found.size > MAX_LOG_BYTES) truncateSync(this.path(id), 0);
  }

  private async prune(): Promise<void> {
    const names = await readdir(this.directory);
    if (names.length <= MAX_LOGS) return;
    const files = await Promise.all(
      names.map(async (name) => {
        const path = join(this.directory, name);
        return { path, at: (await stat(path).catch(() => undefined))?.mtimeMs ?? 0 };
      }),
    );
    files.sort((a, b) => b.at - a.at);
    await Promise.all(files.slice(MAX_LOGS).map(({ path }) => rm(path, { force: true })));
  }
}
