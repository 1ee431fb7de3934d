/** A site's agent in a process of its own: image-agent.mjs STATE_DIRECTORY TOKEN_FILE. Prints where it answers. */
import { createRequire } from "node:module";

const built = createRequire(new URL("../../dist/package.json", import.meta.url));
const { startAgent } = built("./lib/site/agent");
const { localPorts } = built("./providers/local");

const [stateDir, tokenFile] = process.argv.slice(2);
const agent = await startAgent({
  site: "cloud",
  stateDir,
  tokenFile,
  listen: { host: "127.0.0.1", port: 0 },
  ports: localPorts({ stateDir }),
});
console.log(agent.endpoint);
