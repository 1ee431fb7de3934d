import { execFile } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { SpillwayError } from "../../lib/errors";
import { baseEnvironment } from "../local/process";

/** Where packages put it, and where PATH of an unprivileged user may not look. */
const USUAL_FOLDERS = ["/usr/sbin", "/usr/local/sbin", "/sbin", "/opt/homebrew/sbin"];

/**
 * Finds the HAProxy program.
 * @throws SpillwayError when there is none
 */
export function findProgram(wanted?: string): string {
  const candidates = wanted?.includes("/")
    ? [wanted]
    : [...(process.env.PATH ?? "").split(delimiter), ...USUAL_FOLDERS]
        .filter((folder) => folder !== "")
        .map((folder) => join(folder, wanted ?? "haproxy"));
  const found = candidates.find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
  if (found !== undefined) return found;
  throw new SpillwayError({
    place: "HAProxy",
    problem: `there is no program \`${wanted ?? "haproxy"}\` to run`,
    mend: "Install HAProxy 2.6 or later (Debian: `apt-get install haproxy`), or name its path.",
  });
}

/**
 * Lets HAProxy itself check a configuration file.
 * @throws SpillwayError with its words
 */
export function checkConfiguration(program: string, file: string): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile(
      program,
      ["-c", "-f", file],
      { env: baseEnvironment(), timeout: 10_000 },
      (error, stdout, stderr) => {
        if (error === null) return resolve();
        const alerts = `${stderr}${stdout}`.split("\n").filter((line) => line.includes("[ALERT]"));
        reject(
          new SpillwayError(
            {
              place: file,
              problem: `HAProxy refuses the configuration: ${alerts.join(" | ") || error.message}`,
              mend: "HAProxy 2.6 or later is needed, with the pool's settings in the limits that it names.",
            },
            { cause: error },
          ),
        );
      },
    );
  });
}
