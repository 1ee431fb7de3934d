/** A store behind a real agent's HTTP in a process of its own, to be killed: store-process.cjs DIRECTORY PORT. Prints its port. */
const path = require("node:path");
const dist = path.join(__dirname, "..", "..", "..", "..", "dist");
const { peakBytes } = require("./peak.cjs");
const built = (name) => require(path.join(dist, "lib", ...name.split("/")));
const { openImageStore } = built("image");
const { Router } = built("site/agent/router");
const { routesOf } = built("site/agent/routes");
const { AgentServer } = built("site/agent/server");
const { TokenCheck } = built("site/agent/token");

async function main([directory, port]) {
  const store = await openImageStore({ directory, site: "cloud" });
  const images = {
    store,
    status: (digest) => store.status(digest),
    complete: (id, digest) => store.completeTransfer(id, digest),
    indexFile: (digest, signal) => store.indexPath(digest, { signal }),
  };
  const memory = {
    method: "GET",
    path: "/v1/memory",
    takes: "nothing",
    open: true,
    handle: () => ({ status: 200, body: { peakBytes: peakBytes() } }),
  };
  const server = await AgentServer.listen({
    listen: { host: "127.0.0.1", port: Number(port) },
    token: new TokenCheck(process.env.SPILLWAY_IMAGE_TEST_TOKEN),
    router: new Router([...routesOf({ images }), memory]),
    log: (line) => process.stderr.write(`${line}\n`),
  });
  process.stdout.write(`${new URL(server.endpoint).port}\n`);
}

main(process.argv.slice(2)).catch((error) => {
  process.stderr.write(String(error.stack));
  process.exitCode = 1;
});
