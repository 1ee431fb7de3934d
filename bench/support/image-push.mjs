/** A push in a process of its own: image-push.mjs ENDPOINT TOKEN_FILE SOURCE CACHE. Prints what it did and took, as JSON. */
import { createRequire } from "node:module";
import { peakOf } from "./memory.mjs";

const built = createRequire(new URL("../../dist/package.json", import.meta.url));
const { pushImage } = built("./lib/image");
const { SiteClient } = built("./lib/site/client");

const [endpoint, tokenFile, source, cacheDirectory] = process.argv.slice(2);
const client = new SiteClient("cloud", { endpoint, tokenFile });
const started = performance.now();
const context = { signal: new AbortController().signal, progress: () => undefined };
const result = await pushImage({ source, target: client, cacheDirectory, context });
const seconds = (performance.now() - started) / 1_000;
client.close();
console.log(JSON.stringify({ ...result, seconds, peakBytes: peakOf(process.pid) }));
