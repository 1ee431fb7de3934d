import { randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { parseStat } from "../../../lib/process-identity";
import { sleep } from "../../../lib/wait";
import type { ProcessHandle } from "../process";

/**
 * A claim closes the gap between starting a process and remembering it. The child itself writes its process id and start time
 * into the claim file before it becomes the member; a file that exists already makes it exit instead. Whoever finds a launch
 * that was cut off takes the claim first: either the child has it, and says who it is, or no child ever starts.
 *
 * `exec` keeps the process id, and the start time with it.
 */
const CLAIM_THEN_EXEC = `if [ -r /proc/$$/stat ]; then read -r s < /proc/$$/stat; else s=$(LC_ALL=C TZ=UTC ps -o lstart= -p $$); fi
set -C
{ printf '%s %s\\n' "$$" "$s" > "$1"; } 2>/dev/null || exit 125
set +C
shift
exec "$@"`;

const ABANDONED = "abandoned";

export function newAttempt(): string {
  return randomBytes(6).toString("hex");
}

/** The command that claims `claimFile` and then becomes `command`. */
export function claiming(claimFile: string, command: readonly string[]): { command: string; args: string[] } {
  return { command: "/bin/sh", args: ["-c", CLAIM_THEN_EXEC, "spillway-member", claimFile, ...command] };
}

/** Who claimed it. Undefined: nobody, and nobody will any more. */
export async function claimant(claimFile: string): Promise<ProcessHandle | undefined> {
  try {
    await writeFile(claimFile, `${ABANDONED}\n`, { flag: "wx", mode: 0o600 });
    return undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  // The child makes the file and writes into it in two steps; one that got killed in between is dead.
  for (let look = 0; look < 20; look++) {
    const text = await readFile(claimFile, "utf8");
    if (text.endsWith("\n")) return parseClaim(text);
    await sleep(50);
  }
  return undefined;
}

function parseClaim(text: string): ProcessHandle | undefined {
  const match = /^(\d+) (.+)\n$/.exec(text);
  if (!match) return undefined;
  const pid = Number(match[1]);
  const startTime = match[2].includes(")")
    ? parseStat(match[2]).startTime
    : match[2].trim().split(/\s+/).join(" ");
  return { pid, startTime };
}
