import { spawn, type ChildProcess } from "node:child_process";
import { join } from "node:path";

export interface ChildOptions {
  readonly project: string;
  readonly demandFile: string;
  /** The event it dies on, and the how-manyth. */
  readonly dieOn?: string;
  readonly dieAt?: number;
  readonly leaseExpiryMs?: number;
  readonly waitForLease?: boolean;
}

interface Line {
  readonly name: string;
  readonly event: { readonly kind: string; readonly [key: string]: unknown };
}

/** A hook in a process of its own. */
export class HookChild {
  readonly lines: Line[] = [];
  readonly exit: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  stderr = "";
  private readonly child: ChildProcess;
  private rest = "";
  private readonly waiters = new Set<() => void>();

  constructor(options: ChildOptions) {
    this.child = spawn(process.execPath, [join(__dirname, "hook-child.cjs"), JSON.stringify(options)], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.child.stdout?.on("data", (chunk: Buffer) => this.take(chunk.toString()));
    this.child.stderr?.on("data", (chunk: Buffer) => (this.stderr += chunk.toString()));
    this.exit = new Promise((resolve) =>
      this.child.once("close", (code, signal) => {
        resolve({ code, signal });
        this.wake();
      }),
    );
  }

  get pid(): number {
    return this.child.pid as number;
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  async until(fits: (line: Line) => boolean, timeoutMs = 15_000): Promise<Line> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const found = this.lines.find(fits);
      if (found) return found;
      if (Date.now() > deadline || this.child.exitCode !== null) {
        const told = this.lines.map(({ name, event }) =>
          name === "failed" ? `failed (${event.problem})` : name,
        );
        throw new Error(`not seen: ${this.stderr} ${told.join(" ")}`);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 500);
        this.waiters.add(() => {
          clearTimeout(timer);
          resolve();
        });
      });
      this.waiters.clear();
    }
  }

  private take(text: string): void {
    const lines = (this.rest + text).split("\n");
    this.rest = lines.pop() ?? "";
    this.lines.push(...lines.map((line) => JSON.parse(line) as Line));
    this.wake();
  }

  private wake(): void {
    for (const waiter of this.waiters) waiter();
  }
}
