/** A push in a process of its own, to be killed: push-process.cjs ENDPOINT SOURCE CACHE [CAP_BPS]. Prints its result as JSON. */
const path = require("node:path");
const dist = path.join(__dirname, "..", "..", "..", "..", "dist");
const { peakBytes } = require("./peak.cjs");
const { pushImage } = require(path.join(dist, "lib", "image"));
const { SiteClient } = require(path.join(dist, "lib", "site", "client"));

const [endpoint, source, cacheDirectory, cap] = process.argv.slice(2);
const client = new SiteClient("cloud", { endpoint, tokenEnv: "SPILLWAY_IMAGE_TEST_TOKEN" });
pushImage({
  source,
  target: client,
  cacheDirectory,
  bandwidth: cap ? [{ capBps: Number(cap) }] : undefined,
  context: { signal: new AbortController().signal, progress: () => undefined },
}).then(
  (result) => {
    process.stdout.write(JSON.stringify({ ...result, peakBytes: peakBytes() }));
    client.close();
  },
  (error) => {
    process.stdout.write(JSON.stringify({ error: error.message, code: error.code }));
    client.close();
  },
);
