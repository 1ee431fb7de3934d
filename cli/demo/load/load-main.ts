/** The load's own process: its CPU time must not be taken from what it measures. Told and telling by JSON lines (`options.ts`). */
import { createInterface } from "node:readline";
import { messageOf } from "../../../lib/errors";
import type { LoadCommand, LoadMessage } from "./options";
import { startReplay, type Replay } from "./replay";

function say(message: LoadMessage): void {
  process.stdout.write(JSON.stringify(message) + "\n");
}

async function main(): Promise<void> {
  let replay: Promise<Replay> | undefined;
  const stop = () => {
    if (!replay) process.exit(0);
    void replay.then((running) => running.stop());
  };
  // A parent that died leaves a closed pipe behind: then there is nobody to load for.
  process.stdout.on("error", () => process.exit(0));
  process.on("SIGTERM", stop);
  process.on("SIGINT", () => undefined);
  const lines = createInterface({ input: process.stdin });
  lines.on("close", stop);
  lines.on("line", (line) => {
    const command = JSON.parse(line) as LoadCommand;
    if (command.type === "stop") return stop();
    if (replay) return;
    replay = startReplay(command.options, {
      onBucket: (bucket) => say({ type: "bucket", bucket }),
      onFailure: (failure) => say({ type: "failure", failure }),
    });
    void replay
      .then(async (running) => {
        say({ type: "started", startedAt: running.startedAt });
        say({ type: "done", totals: await running.ended });
        process.exitCode = 0;
        lines.close();
        process.stdin.destroy();
      })
      .catch((error) => {
        say({ type: "error", message: messageOf(error) });
        process.exit(1);
      });
  });
}

void main();
