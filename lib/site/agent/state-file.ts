import { open, readFile, rename, mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { SpillwayError, messageOf } from "../../errors";
import { type AgentState, emptyState } from "./state";

/** Keeps an agent's state in one file, which is replaced whole. */
export class StateFile {
  private writing: Promise<void> | undefined;
  private next: Promise<void> | undefined;

  private constructor(
    private readonly path: string,
    /** Changed in place; {@link StateFile.save} makes it last. */
    readonly state: AgentState,
  ) {}

  /**
   * @param site whose state it must be; left out by those who take any
   * @throws SpillwayError for a file that is another site's, or cannot be read
   */
  static async open(path: string, site?: string): Promise<StateFile> {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    let text: string | undefined;
    try {
      text = await readFile(path, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
    return new StateFile(path, text === undefined ? emptyState(site ?? "") : parse(path, text, site));
  }

  /**
   * Resolves when the state as it is now is on disk. Calls while a write is under way share the next one.
   */
  save(): Promise<void> {
    if (!this.writing) return (this.writing = this.write().finally(() => (this.writing = undefined)));
    this.next ??= this.writing
      .catch(() => undefined)
      .then(() => {
        this.next = undefined;
        return this.save();
      });
    return this.next;
  }

  private async write(): Promise<void> {
    const text = `${JSON.stringify(this.state, null, 1)}\n`;
    const file = await open(`${this.path}.new`, "w", 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(`${this.path}.new`, this.path);
    const folder = await open(dirname(this.path), "r");
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  }
}

function parse(path: string, text: string, site: string | undefined): AgentState {
  let value: Partial<AgentState>;
  try {
    value = JSON.parse(text) as Partial<AgentState>;
  } catch (error) {
    throw unreadable(path, messageOf(error), error);
  }
  if (value.version !== 1 || typeof value.pools !== "object" || typeof value.records !== "object") {
    throw unreadable(path, `it is no agent state of version 1, got version ${JSON.stringify(value.version)}`);
  }
  if (site !== undefined && value.site !== site) {
    throw new SpillwayError({
      place: path,
      problem: `this state directory is of site "${value.site}", not of "${site}"`,
      mend: "Give each site a state directory of its own.",
    });
  }
  return value as AgentState;
}

function unreadable(path: string, detail: string, cause?: unknown): SpillwayError {
  return new SpillwayError(
    {
      place: path,
      problem: `the agent's state cannot be read: ${detail}`,
      mend: "Restore the file from a backup. Without it the agent does not know its running members; end those by hand before removing it.",
    },
    { cause },
  );
}
