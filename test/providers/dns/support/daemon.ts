import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { createSocket } from "node:dgram";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PATH } from "./tools";

/** A port that was free a moment ago, for UDP and TCP. */
export async function freePort(): Promise<number> {
  for (;;) {
    const tcp = createServer();
    await new Promise<void>((resolve) => tcp.listen(0, "127.0.0.1", resolve));
    const { port } = tcp.address() as AddressInfo;
    const udp = createSocket("udp4");
    const isFree = await new Promise<boolean>((resolve) => {
      udp.once("error", () => resolve(false));
      udp.bind(port, "127.0.0.1", () => resolve(true));
    });
    if (isFree) await new Promise<void>((resolve) => udp.close(resolve));
    await new Promise<void>((resolve) => tcp.close(() => resolve()));
    if (isFree) return port;
  }
}

export function temporaryFolder(name: string): string {
  return mkdtempSync(join(tmpdir(), `spillway-${name}-`));
}

/** A daemon in the foreground, in a folder of its own, ended by its process id. */
export class Daemon {
  private child: ChildProcess | undefined;

  constructor(
    readonly folder: string,
    private readonly command: readonly [string, ...string[]],
    /** Does it answer? Throws as long as it does not. */
    private readonly look: () => Promise<unknown>,
  ) {}

  async start(): Promise<void> {
    const log = openSync(join(this.folder, "log"), "a");
    const [tool, ...args] = this.command;
    const child = spawn(tool, args, {
      cwd: this.folder,
      env: { ...process.env, PATH },
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    this.child = child;
    const until = Date.now() + 10_000;
    for (;;) {
      try {
        await this.look();
        return;
      } catch (error) {
        if (child.exitCode !== null || Date.now() > until) {
          throw new Error(`${tool} did not start: ${String(error)}\n${this.log()}`);
        }
      }
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
  }

  /** Ends it at once, its files stay. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const { child } = this;
    this.child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  }

  /** Ends it and leaves nothing. */
  async end(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  signal(signal: NodeJS.Signals): void {
    this.child?.kill(signal);
  }

  log(): string {
    return readFileSync(join(this.folder, "log"), "utf8");
  }
}
