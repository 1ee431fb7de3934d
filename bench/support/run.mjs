import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** Starts a script of this folder; `lines` gives what it prints, line by line. */
export function start(script, ...args) {
  const child = spawn(
    process.execPath,
    [fileURLToPath(new URL(script, import.meta.url)), ...args.map(String)],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  return { child, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() };
}

/** A port that was free a moment ago. */
export async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/**
 * Runs a load generator and returns what it found, with the CPU seconds that the process behind `health` used meanwhile and the
 * most memory that it had.
 */
export async function measure(health, script, ...args) {
  const { lines } = start(script, ...args);
  await lines.next();
  const before = await health();
  let rssBytes = before.rssBytes;
  let done = false;
  const watch = (async () => {
    while (!done) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      rssBytes = Math.max(rssBytes, (await health()).rssBytes);
    }
  })();
  const { value } = await lines.next();
  const after = await health();
  done = true;
  await watch;
  return { ...JSON.parse(value), cpuSeconds: (after.cpuMicros - before.cpuMicros) / 1e6, rssBytes };
}

/** A bench's result as lines of text. */
export function table({ title, rows }) {
  return [
    title,
    ...rows.map(({ name, value, unit, goal, met }) => {
      const verdict = goal === undefined || goal === "" ? "" : `${met ? "met" : "MISSED"} (goal ${goal})`;
      return `  ${name.padEnd(64)} ${String(value).padStart(10)} ${unit.padEnd(18)} ${verdict}`.trimEnd();
    }),
  ].join("\n");
}

/** Prints a bench's result, as a table or with `--json` as JSON, when its file is the program. */
export async function main(url, run) {
  if (process.argv[1] !== fileURLToPath(url)) return;
  const result = await run();
  console.log(process.argv.includes("--json") ? JSON.stringify(result) : `\n${table(result)}`);
}
