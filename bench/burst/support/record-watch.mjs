/**
 * Asks a PowerDNS ten times a second what it answers a name with, and prints a JSON line {at, weights: {ADDRESS: weight}} whenever that has
 * changed: record-watch.mjs API KEY_FILE ZONE NAME. It ends with its input.
 */
import { readFileSync } from "node:fs";

const [api, keyFile, zone, name] = process.argv.slice(2);
const headers = { "x-api-key": readFileSync(keyFile, "utf8").trim() };
let last;

async function look() {
  const answer = await fetch(`${api}/api/v1/servers/localhost/zones/${zone}.`, { headers });
  const { rrsets } = await answer.json();
  const content =
    rrsets.find((one) => one.name === `${name}.` && one.type === "LUA")?.records[0].content ?? "";
  const weights = Object.fromEntries(
    [...content.matchAll(/\{(\d+), *'([\d.]+)'\}/g)].map(([, weight, address]) => [address, Number(weight)]),
  );
  const text = JSON.stringify(weights);
  if (text === last) return;
  last = text;
  process.stdout.write(`${JSON.stringify({ at: Date.now(), weights })}\n`);
}

process.stdin.on("end", () => process.exit(0)).resume();
for (;;) {
  // A name server that is away for a moment has changed nothing.
  await look().catch(() => undefined);
  await new Promise((resolve) => setTimeout(resolve, 100));
}
