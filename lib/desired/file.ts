import { randomBytes } from "node:crypto";
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { SpillwayError, messageOf } from "../errors";
import type { BurstShape } from "./check";
import type { DesiredParameters } from "./parameters";
import { parseParameters } from "./parse";
import { renderParameters } from "./render";

/**
 * The parameters in a variable file, by variable. See {@link parseParameters}.
 * @throws SpillwayError when it cannot be read, or SpillwayErrors with all that is wrong in it
 */
export function readParameters(
  file: string,
  bursts?: readonly BurstShape[],
): Record<string, DesiredParameters> {
  const text = readIfThere(file);
  if (text === undefined) {
    throw new SpillwayError({
      place: file,
      problem: "the parameters file does not exist",
      mend: "Create it with the quiet state, or restore it from version control.",
    });
  }
  return parseParameters(text, file, bursts);
}

/**
 * Sets some bursts' parameters in a variable file and leaves every other variable in it as it stands, to the letter. Creates
 * file and folder if need be. The file is replaced at once and whole: a reader, or a crash, sees the old text or the new.
 * @returns false if the file said so already and was not touched
 * @throws SpillwayError, SpillwayErrors when the present file is not one that can be changed, or the parameters are not valid ones
 */
export function writeParameters(
  file: string,
  parameters: Readonly<Record<string, DesiredParameters>>,
): boolean {
  for (const [variable, value] of Object.entries(parameters)) {
    parseParameters(JSON.stringify({ [variable]: value }), `new parameters for ${file}`);
  }
  const before = readIfThere(file);
  const after = renderParameters(before, file, parameters);
  if (after === before) return false;
  try {
    replaceFile(file, after);
  } catch (error) {
    throw new SpillwayError(
      {
        place: file,
        problem: `the parameters file cannot be written: ${messageOf(error)}`,
        mend: "Check the permissions of the file and its folder, and the space on its disk.",
      },
      { cause: error },
    );
  }
  return true;
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new SpillwayError(
      {
        place: file,
        problem: `the parameters file cannot be read: ${messageOf(error)}`,
        mend: "Check its permissions, and that it is a file.",
      },
      { cause: error },
    );
  }
}

function replaceFile(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  const { target, mode } = present(file);
  const temporary = join(dirname(target), `.${basename(target)}.${randomBytes(6).toString("hex")}`);
  try {
    const handle = openSync(temporary, "wx", mode);
    try {
      writeSync(handle, text);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    renameSync(temporary, target);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  syncFolder(dirname(target));
  removeLeftovers(target);
}

/** A writer that was killed left its new text behind. One that still writes is done long before that. */
const LEFTOVER_MS = 60_000;

function removeLeftovers(target: string): void {
  const prefix = `.${basename(target)}.`;
  for (const name of readdirSync(dirname(target))) {
    if (!name.startsWith(prefix) || !/^[0-9a-f]{12}$/.test(name.slice(prefix.length))) continue;
    const file = join(dirname(target), name);
    const age = Date.now() - (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
    if (age > LEFTOVER_MS) rmSync(file, { force: true });
  }
}

/** Where a link leads, and the mode to keep: replacing a link by a file would cut it off from what it stood for. */
function present(file: string): { target: string; mode: number } {
  try {
    const target = realpathSync(file);
    return { target, mode: statSync(target).mode & 0o777 };
  } catch {
    return { target: file, mode: 0o644 };
  }
}

/** Makes the rename itself survive a power cut. Not every platform lets a folder be opened. */
function syncFolder(folder: string): void {
  if (process.platform === "win32") return;
  const handle = openSync(folder, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
