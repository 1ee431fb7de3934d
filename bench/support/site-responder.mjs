/**
 * Answers for any number of pools as a site's agent does when a provider reads them: a thousand real pools would be a thousand
 * members on this machine. Prints its port.
 */
import { createServer } from "node:http";

const spec = JSON.parse(process.argv[2]);
const site = process.argv[3];

const server = createServer((request, response) => {
  const [, name] = /^\/v1\/pools\/([^/?]+)$/.exec(request.url ?? "") ?? [];
  response.setHeader("content-type", "application/json");
  if (request.method !== "GET" || name === undefined) {
    response.writeHead(404).end(JSON.stringify({ error: { code: "not-found", message: request.url } }));
    return;
  }
  const members = [];
  response.end(
    JSON.stringify({
      name,
      site,
      spec,
      phase: "ready",
      members,
      quiesce: { share: 0, forMs: 0, idleCloseMs: 0 },
    }),
  );
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
