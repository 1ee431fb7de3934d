import { execFileSync } from "node:child_process";
import { join } from "node:path";
import type { DaemonPlan } from "./daemon";
import type { LineOptions, PartName } from "./options";
import { WAN_SOURCE } from "./requirements";

/** Kernels without netem have no delay to offer: the lines are carried by a program. @returns its path */
export function compileEmulator(dir: string): string {
  const program = join(dir, "wanlink");
  execFileSync("gcc", ["-O2", "-o", program, WAN_SOURCE], { stdio: ["ignore", "ignore", "pipe"] });
  return program;
}

/** A line between two namespaces: device `wan0` in both, with addresses .1 and .2. */
export function linePlan(options: {
  readonly name: PartName;
  readonly program: string;
  readonly ends: readonly [string, string];
  readonly prefix: string;
  readonly line: LineOptions;
  readonly dir: string;
}): DaemonPlan {
  const { rate = "100M", delayMs = 25, lossPercent = 0 } = options.line;
  const [near, far] = options.ends;
  return {
    name: options.name,
    argv: [
      options.program,
      ...["-A", near, "-B", far, "-n", options.prefix],
      ...["-r", rate, "-d", `${delayMs}`, "-l", `${lossPercent}`, "-t"],
    ],
    logFile: join(options.dir, `${options.name}.log`),
    ready: { says: /^ready /m },
  };
}
