/**
 * The member of the burst bench: answers `GET /` after some work, of which it can do only so much at a time, and echoes what comes over
 * a WebSocket at `/live`. Ends politely at SIGTERM. Plain JavaScript: it is what the image carries.
 *
 * HOST, PORT      where it listens
 * SPILLWAY_SITE   told in the header x-site
 * START_DELAY_MS  time it takes to start @default 1500
 * WORK_MS         work for one answer @default 20
 * CONCURRENCY     answers worked on at a time @default 4
 */
const { createHash } = require("node:crypto");
const { createServer } = require("node:http");

const { HOST = "127.0.0.1", PORT, SPILLWAY_SITE: SITE = "" } = process.env;
const workMs = Number(process.env.WORK_MS ?? 20);
const workers = new Array(Number(process.env.CONCURRENCY ?? 4)).fill(0);
/** RFC 6455 1.3 */
const WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const live = new Set();
let stopping = false;

/** The worker that is free first does it. Their free times are counted, not timers: a late timer costs no capacity. */
function reserve() {
  const now = performance.now();
  const first = workers.indexOf(Math.min(...workers));
  workers[first] = Math.max(now, workers[first]) + workMs;
  return workers[first] - now;
}

const server = createServer((request, response) => {
  request.resume();
  const answer = (status, body) => {
    response.writeHead(status, {
      "content-type": "text/plain",
      "content-length": body.length,
      "x-site": SITE,
      ...(stopping ? { connection: "close" } : {}),
    });
    response.end(body);
  };
  if (request.url === "/healthz") return answer(200, "ok\n");
  setTimeout(() => answer(200, `${SITE}\n`), reserve());
});
server.keepAliveTimeout = 60_000;

server.on("upgrade", (request, socket) => {
  const key = request.headers["sec-websocket-key"] ?? "";
  const accept = createHash("sha1").update(`${key}${WEBSOCKET_GUID}`).digest("base64");
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ${accept}\r\nx-site: ${SITE}\r\n\r\n`,
  );
  socket.setNoDelay(true);
  live.add(socket);
  socket.on("close", () => live.delete(socket));
  socket.on("error", () => socket.destroy());
  let held = Buffer.alloc(0);
  socket.on("data", (chunk) => {
    held = Buffer.concat([held, chunk]);
    // The bench's clients send masked frames of less than 126 bytes.
    while (held.length >= 6 && held.length >= 6 + (held[1] & 0x7f)) {
      const length = held[1] & 0x7f;
      const opcode = held[0] & 0x0f;
      const mask = held.subarray(2, 6);
      const payload = Buffer.from(held.subarray(6, 6 + length).map((byte, at) => byte ^ mask[at % 4]));
      held = held.subarray(6 + length);
      socket.write(Buffer.concat([Buffer.from([0x80 | opcode, length]), payload]));
      if (opcode === 8) socket.end();
    }
  });
});

process.on("SIGTERM", () => {
  if (stopping) return;
  stopping = true;
  server.close(() => process.exit(0));
  server.closeIdleConnections();
  // 1001: going away.
  for (const socket of live) socket.end(Buffer.from([0x88, 2, 0x03, 0xe9]));
  setTimeout(() => process.exit(1), 10_000).unref();
});

setTimeout(
  () => {
    if (!stopping) server.listen(Number(PORT), HOST);
  },
  Number(process.env.START_DELAY_MS ?? 1_500),
);
