import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";

/** An application in a process of its own, to be killed. */
export interface AppProcess {
  readonly id: string;
  readonly port: number;
  readonly child: ChildProcess;
  kill(): Promise<void>;
}

const PROGRAM = `
const id = process.argv[1], delay = Number(process.argv[3] ?? 0);
const server = require("node:http").createServer((request, response) => {
  const answer = () => { response.writeHead(200, { "x-member": id, "content-length": id.length }); response.end(id); };
  if (delay > 0 && request.headers["user-agent"] !== "spillway-monitor") setTimeout(answer, delay); else answer();
});
server.listen(Number(process.argv[2]), "127.0.0.1", () => process.stdout.write(server.address().port + "\\n"));
`;

/** Answers each request with its id, after `delayMs`. */
export async function startAppProcess(id: string, delayMs = 0, port = 0): Promise<AppProcess> {
  const child = spawn(process.execPath, ["-e", PROGRAM, id, String(port), String(delayMs)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  return {
    id,
    port: Number(line.toString()),
    child,
    kill: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      await gone;
    },
  };
}
