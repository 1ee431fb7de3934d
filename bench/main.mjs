/**
 * Every figure that Spillway promises, measured here and now, one bench after another, as a table: `npm run bench`.
 * `--json` prints one object instead; `--only NAME` runs one of them.
 */
import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { table } from "./support/run.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const args = process.argv.slice(2);
const json = args.includes("--json");
const only = args.includes("--only") ? args[args.indexOf("--only") + 1] : undefined;

const benches = readdirSync(here)
  .filter((name) => name.endsWith(".mjs") && name !== "main.mjs")
  .filter((name) => only === undefined || name === `${only}.mjs`)
  .sort();

const results = [];
for (const name of benches) {
  if (!json) process.stderr.write(`measuring ${name.replace(".mjs", "")} …\n`);
  const { run } = await import(pathToFileURL(join(here, name)).href);
  results.push(await run());
}

const missed = results.flatMap(({ rows }) => rows.filter((row) => row.met === false));
if (json) process.stdout.write(`${JSON.stringify({ results, missed: missed.length })}\n`);
else {
  for (const result of results) process.stdout.write(`\n${table(result)}\n`);
  process.stdout.write(missed.length === 0 ? "\nEvery goal is met.\n" : `\n${missed.length} goals missed.\n`);
}
process.exit(missed.length === 0 ? 0 : 1);
