import { execFile } from "node:child_process";
import { SpillwayError, messageOf } from "../../lib/errors";
import type { PartCheck } from "../../lib/site/ports";
import { baseEnvironment } from "../local/process";
import { versionProblems } from "./doctor";
import { findProgram } from "./program";

/** Is the program there, and new enough? Runs nothing but `-v`. */
export async function checkProgram(wanted: string | undefined, signal?: AbortSignal): Promise<PartCheck> {
  try {
    const program = findProgram(wanted);
    const said = await firstLine(program, signal);
    const version = /version (\S+)/.exec(said)?.[1] ?? said;
    return { problems: versionProblems(`HAProxy at ${program}`, version), advice: [] };
  } catch (error) {
    const report =
      error instanceof SpillwayError
        ? error.report
        : { place: "HAProxy", problem: messageOf(error), mend: "Name a HAProxy program of 2.6 or later." };
    return { problems: [report], advice: [] };
  }
}

function firstLine(program: string, signal: AbortSignal | undefined): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(program, ["-v"], { env: baseEnvironment(), timeout: 5_000, signal }, (error, stdout) =>
      error === null ? resolve(stdout.split("\n")[0]) : reject(error),
    );
  });
}
