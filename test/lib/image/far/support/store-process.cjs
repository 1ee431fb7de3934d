/** A store behind HTTP in a process of its own, to be killed: store-process.cjs DIRECTORY. Prints its port. */
const http = require("node:http");
const path = require("node:path");
const dist = path.join(__dirname, "..", "..", "..", "..", "..", "dist");
const { peakBytes } = require("../../support/peak.cjs");
const { openImageStore } = require(path.join(dist, "lib", "image", "far"));

async function main([directory]) {
  const store = await openImageStore({ directory, site: "cloud" });
  const verbs = {
    open: (id, digest, body) => store.openTransfer(id, { sizeBytes: Number(body), digest }),
    put: (id, segment, body) => store.putSegment(id, segment, body),
    complete: (id, digest) => store.completeTransfer(id, digest),
    status: (digest) => store.status(digest),
    index: async (digest) => ({ bytes: (await store.fetchIndex(digest))?.length }),
    used: async () => ({ peakBytes: peakBytes(), cpuUs: process.cpuUsage() }),
  };
  const server = http.createServer(async (request, response) => {
    const [, verb, one, other] = decodeURIComponent(request.url).split("/");
    const parts = [];
    try {
      for await (const part of request) parts.push(part);
      const answer = await verbs[verb](one, other || undefined, Buffer.concat(parts));
      response.writeHead(200).end(JSON.stringify(answer ?? null));
    } catch (error) {
      response
        .writeHead(error.status ?? 500)
        .end(JSON.stringify({ code: error.code ?? "internal", problem: String(error), ...error.report }));
    }
  });
  server.listen(0, "127.0.0.1", () => process.stdout.write(`${server.address().port}\n`));
}

main(process.argv.slice(2)).catch((error) => {
  process.stderr.write(String(error.stack));
  process.exitCode = 1;
});
