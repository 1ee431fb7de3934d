/** A store behind HTTP in a process of its own, to be killed: store-process.cjs DIRECTORY PORT. Prints its port. */
const http = require("node:http");
const path = require("node:path");
const dist = path.join(__dirname, "..", "..", "..", "..", "dist");
const { peakBytes } = require("./peak.cjs");
const { openImageStore } = require(path.join(dist, "lib", "image"));

async function main([directory, port]) {
  const store = await openImageStore({ directory, site: "cloud" });
  const verbs = {
    offer: (digest, _id, body) => store.offer(digest, body),
    segments: (digest, id, body) => store.putSegment(digest, id, body),
    complete: (digest) => store.complete(digest),
    estimate: (digest, _id, body) => store.estimate(digest, body),
    status: (digest) => store.status(digest),
    memory: async () => ({ peakBytes: peakBytes() }),
  };
  const server = http.createServer(async (request, response) => {
    const [, , , digest, verb = "status", id] = decodeURIComponent(request.url).split("/");
    const parts = [];
    try {
      for await (const part of request) parts.push(part);
      const answer = await verbs[verb](digest, id, Buffer.concat(parts));
      response.writeHead(200).end(JSON.stringify(answer));
    } catch (error) {
      const problem = error.report ?? { place: "store", problem: String(error), mend: "Try again." };
      response
        .writeHead(error.status ?? 500)
        .end(JSON.stringify({ code: error.code ?? "internal", ...problem }));
    }
  });
  server.listen(Number(port), "127.0.0.1", () => process.stdout.write(`${server.address().port}\n`));
}

main(process.argv.slice(2)).catch((error) => {
  process.stderr.write(String(error.stack));
  process.exitCode = 1;
});
