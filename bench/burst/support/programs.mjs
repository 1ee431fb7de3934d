import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const pathOf = (name) => fileURLToPath(new URL(`../${name}`, import.meta.url));
const piped = { stdio: ["pipe", "pipe", "inherit"] };

/**
 * Starts the load among the users.
 * @returns `startedAt` (since 1970), and `stop()`, which gives {buckets, totals}
 */
export async function startLoad(lab, options) {
  const child = lab.spawn("clients", [process.execPath, pathOf("load/main.mjs")], piped);
  child.stdin.write(`${JSON.stringify(options)}\n`);
  const buckets = [];
  const lines = createInterface({ input: child.stdout });
  const said = (kind) =>
    new Promise((resolve, reject) => {
      lines.on("line", (line) => {
        const message = JSON.parse(line);
        if (message.kind === kind) resolve(message);
      });
      child.once("close", () => reject(new Error(`the load ended before it was ${kind}`)));
    });
  lines.on("line", (line) => {
    const message = JSON.parse(line);
    if (message.kind === "bucket") buckets.push(message);
  });
  const done = said("done");
  done.catch(() => undefined);
  const { at } = await said("started");
  return {
    startedAt: at,
    buckets,
    async stop() {
      child.stdin.end();
      return { buckets, totals: await done };
    },
  };
}

/** Notes what the name server answers from when on: `shifts` of {at, weights by site}. */
export function watchRecord(lab, name) {
  const { api, keyFile } = lab.powerdns;
  const argv = [process.execPath, pathOf("support/record-watch.mjs"), api, keyFile, lab.zone, name];
  const child = lab.spawn("gslb", argv, piped);
  const shifts = [];
  const siteOf = (address) => ["onprem", "cloud"].find((site) => lab.site(site).address === address);
  createInterface({ input: child.stdout }).on("line", (line) => {
    const { at, weights } = JSON.parse(line);
    const bySite = Object.entries(weights).map(([address, weight]) => [siteOf(address), weight]);
    shifts.push({ at, weights: Object.fromEntries(bySite) });
  });
  return { shifts, stop: () => child.stdin.end() };
}
