/** A member that costs next to nothing: answers 200 bytes. Prints its port. */
import { createServer } from "node:http";

const BODY = Buffer.alloc(200, "x");
const server = createServer((_request, response) => {
  response.writeHead(200, { "content-type": "text/plain", "content-length": BODY.length });
  response.end(BODY);
});
server.listen(0, "127.0.0.1", () => process.stdout.write(`${server.address().port}\n`));
