/** Indexes an image in a process of its own: index.mjs IMAGE CACHE. Prints what it took, as JSON. */
import { readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";

const built = createRequire(new URL("../../../dist/package.json", import.meta.url));
const { indexImage } = built("./lib/image/near");

const [source, cacheDirectory] = process.argv.slice(2);
let peakKb = 0;
const sample = () => {
  const status = readFileSync("/proc/self/status", "utf8");
  peakKb = Math.max(
    peakKb,
    Number(/RssAnon:\s+(\d+)/.exec(status)[1]) + Number(/RssShmem:\s+(\d+)/.exec(status)[1]),
  );
};
const timer = setInterval(sample, 100);
const started = performance.now();
const { digest, inUseBytes } = await indexImage({ source, cacheDirectory });
const seconds = (performance.now() - started) / 1_000;
clearInterval(timer);
sample();
const { user, system } = process.cpuUsage();
console.log(
  JSON.stringify({
    digest,
    inUseBytes: inUseBytes ?? statSync(source).blocks * 512,
    seconds: Number(seconds.toFixed(2)),
    cpuS: Number(((user + system) / 1e6).toFixed(1)),
    rssMb: Math.round((peakKb * 1_024) / 1e6),
  }),
);
