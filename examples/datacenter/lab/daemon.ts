import { existsSync, readFileSync } from "node:fs";
import { DeadlineError, SpillwayError } from "../../../lib/errors";
import { isSameProcess } from "../../../lib/process-identity";
import { sleep } from "../../../lib/wait";
import { endProcess, startDetached } from "../../../providers/local/process";
import type { Part, PartName } from "./options";
import { PATH } from "./requirements";
import type { LabFile } from "./state";

const START_DEADLINE_MS = 20_000;

/** How a part is started, and how it is known that it answers. */
export interface DaemonPlan {
  readonly name: PartName;
  /** The network namespace it runs in. @default - the one of this process */
  readonly namespace?: string;
  readonly argv: readonly string[];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly logFile: string;
  readonly ready: { readonly says: RegExp } | { readonly listens: readonly number[] };
}

/** A daemon of its own session: it outlives who laid the lab out, and is found again by the lab's file. */
export class LabDaemon implements Part {
  constructor(
    private readonly lab: LabFile,
    private readonly plan: DaemonPlan,
  ) {}

  get name(): PartName {
    return this.plan.name;
  }

  get logFile(): string {
    return this.plan.logFile;
  }

  pid(): number | undefined {
    return this.lab.now.processes[this.name]?.pid;
  }

  async start(): Promise<void> {
    const { namespace, argv, cwd, env, logFile } = this.plan;
    const [command, ...args] = namespace === undefined ? argv : ["ip", "netns", "exec", namespace, ...argv];
    const said = logOf(logFile).length;
    const handle = await startDetached({ command, args, cwd, env: { PATH, ...env }, logFile });
    this.lab.change({ processes: { ...this.lab.now.processes, [this.name]: handle } });
    const deadline = Date.now() + START_DEADLINE_MS;
    for (;;) {
      const log = logOf(logFile).slice(said);
      if (this.answers(handle.pid, log)) return;
      const last = log.trim().split("\n").slice(-5).join(" | ");
      if (!(await isSameProcess(handle))) {
        throw new SpillwayError({
          place: this.name,
          problem: `it ended at once: ${last}`,
          mend: `Read its log: ${logFile}`,
        });
      }
      if (Date.now() > deadline) {
        await endProcess(handle, 0);
        throw new DeadlineError({
          place: this.name,
          problem: `it did not answer within ${START_DEADLINE_MS / 1_000} s: ${last}`,
          mend: `Read its log: ${logFile}`,
        });
      }
      await sleep(30);
    }
  }

  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const handle = this.lab.now.processes[this.name];
    if (handle === undefined) return;
    await endProcess(handle, signal === "SIGKILL" ? 0 : 5_000);
    const { [this.name]: _ended, ...others } = this.lab.now.processes;
    this.lab.change({ processes: others });
  }

  private answers(pid: number, log: string): boolean {
    const { ready } = this.plan;
    if ("says" in ready) return ready.says.test(log);
    return ready.listens.every((port) => listensAt(pid, port));
  }
}

/** Does anybody listen at a TCP port of the network namespace that a process is in? */
function listensAt(pid: number, port: number): boolean {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, "0")} `;
  return ["tcp", "tcp6"].some((table) =>
    logOf(`/proc/${pid}/net/${table}`)
      .split("\n")
      .some((line) => line.includes(wanted) && / 0A /.test(line)),
  );
}

function logOf(path: string): string {
  try {
    return existsSync(path) ? readFileSync(path, "utf8") : "";
  } catch {
    // A process that has just ended has no tables any more.
    return "";
  }
}
