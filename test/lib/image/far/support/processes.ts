import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

/** What a store's process answers. */
export interface Answer {
  readonly code?: string;
  readonly problem?: string;
  readonly arrived?: string;
  readonly complete?: unknown;
  readonly presentBytes?: number;
  readonly peakBytes?: number;
  readonly bytes?: number;
}

/** Stores in processes of their own. */
export class StoreProcesses {
  private readonly children: ChildProcess[] = [];

  /** @param prefix a command that starts it */
  async start(directory: string, prefix: readonly string[] = []): Promise<StoreProcess> {
    const script = join(__dirname, "store-process.cjs");
    const [command, ...args] = [...prefix, process.execPath, script, directory];
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
    this.children.push(child);
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    return new StoreProcess(child, Number(line.toString()));
  }

  async killAll(): Promise<void> {
    for (const child of this.children.splice(0)) await kill(child);
  }
}

export class StoreProcess {
  constructor(
    private readonly child: ChildProcess,
    private readonly port: number,
  ) {}

  kill(): Promise<void> {
    return kill(this.child);
  }

  open(id: string, sizeBytes: number, digest = ""): Promise<Answer> {
    return this.ask(`open/${id}/${digest}`, String(sizeBytes));
  }

  put(id: string, segment: { readonly id: string; readonly bytes: Buffer }): Promise<Answer> {
    return this.ask(`put/${id}/${segment.id}`, segment.bytes);
  }

  complete(id: string, digest: string): Promise<Answer> {
    return this.ask(`complete/${id}/${digest}`);
  }

  async ask(path: string, body: string | Buffer = ""): Promise<Answer> {
    const payload = typeof body === "string" ? body : new Uint8Array(body);
    const answer = await fetch(`http://127.0.0.1:${this.port}/${path}`, { method: "POST", body: payload });
    return answer.json() as Promise<Answer>;
  }
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}
