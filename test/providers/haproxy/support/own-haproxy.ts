import { spawn, type ChildProcess } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { RuntimeClient } from "../../../../providers/haproxy";
import { findProgram } from "../../../../providers/haproxy/program";
import { temporaryFolder } from "../../local/support/balancer";

/** A HAProxy as its user would run it, in master-worker mode, with a configuration of the user's own. */
export interface OwnHaproxy {
  readonly folder: string;
  readonly socket: string;
  readonly masterSocket: string;
  /** Read besides its own file. */
  readonly stanzaDir: string;
  readonly stateDir: string;
  reload(configuration?: string): Promise<void>;
  end(): Promise<void>;
}

/** `rest`: what follows the global section. */
export async function startOwnHaproxy(rest = "", level = "admin"): Promise<OwnHaproxy> {
  const folder = temporaryFolder();
  const [file, socket, masterSocket] = ["haproxy.cfg", "own.sock", "master.sock"].map((name) =>
    join(folder, name),
  );
  const stateDir = join(folder, "state");
  const stanzaDir = join(stateDir, "haproxy.d");
  mkdirSync(stanzaDir, { recursive: true });
  const write = (text: string) =>
    writeFileSync(
      file,
      `global\n    stats socket ${socket} mode 600 level ${level} expose-fd listeners\nbackend own\n    stick-table type integer size 1\n${text}\n`,
    );
  write(rest);
  const child: ChildProcess = spawn(findProgram(), ["-W", "-S", masterSocket, "-f", file, "-f", stanzaDir], {
    stdio: "ignore",
  });
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const client = new RuntimeClient({ socket });
  const master = new RuntimeClient({ socket: masterSocket });
  const pid = async () => /^Pid: (\d+)/m.exec(await client.ask("show info").catch(() => ""))?.[1];
  const until = async (what: () => Promise<boolean>) => {
    for (
      const end = Date.now() + 5_000;
      !(await what());
      await new Promise((resolve) => setTimeout(resolve, 20))
    ) {
      if (Date.now() > end) throw new Error("HAProxy did not come up");
    }
  };
  await until(async () => (await pid()) !== undefined);
  await master.askPatiently("show proc", 3_000);
  return {
    folder,
    socket,
    masterSocket,
    stanzaDir,
    stateDir,
    async reload(configuration = rest) {
      write(configuration);
      const before = await pid();
      await master.ask("reload");
      await until(async () => ![before, undefined].includes(await pid()));
    },
    async end() {
      child.kill("SIGTERM");
      await gone;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
