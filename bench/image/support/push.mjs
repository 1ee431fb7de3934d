/** A push in a process of its own: push.mjs '{"source":…,"endpoint":…,"tokenFile":…,"caFile":…,"cache":…,"exact":…}'. */
import { createRequire } from "node:module";

const built = createRequire(new URL("../../../dist/package.json", import.meta.url));
const { pushImage } = built("./lib/image");
const { SiteClient } = built("./lib/site/client");

const { source, endpoint, tokenFile, caFile, cache, exact } = JSON.parse(process.argv[2]);
const client = new SiteClient("cloud", { endpoint, tokenFile, caFile });
const context = { signal: new AbortController().signal, progress: () => undefined };
console.log(
  JSON.stringify(await pushImage({ source, target: client, cacheDirectory: cache, exact, context })),
);
client.close();
