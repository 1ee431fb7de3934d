/**
 * The shop of the demo: one member. It answers `GET /` with who it is after some asynchronous work, and can do only so much of it at
 * a time: beyond its capacity answers wait, as those of a real application do. Plain JavaScript without dependencies: it is what the
 * image carries.
 *
 * HOST, PORT               where it listens
 * SPILLWAY_SITE, SPILLWAY_POOL, SPILLWAY_MEMBER   who it is
 * SHOP_VERSION             version it tells
 * START_DELAY_MS           time it takes to start @default 1500
 * WORK_MS                  work for one answer @default 20
 * CONCURRENCY              answers worked on at a time @default 4: with 20 ms, 200 requests a second
 */
// eslint-disable-next-line @typescript-eslint/no-require-imports
const http = require("node:http");

const env = process.env;
const workMs = Number(env.WORK_MS ?? 20);
const workers = new Array(Number(env.CONCURRENCY ?? 4)).fill(0);
const identity = JSON.stringify({
  site: env.SPILLWAY_SITE ?? "",
  pool: env.SPILLWAY_POOL ?? "",
  member: env.SPILLWAY_MEMBER ?? "",
  version: env.SHOP_VERSION ?? "",
});
let stopping = false;

/** The worker that is free first does it. Counting each worker's free time, not timers, keeps late timers out of the capacity. */
function reserve() {
  const now = performance.now();
  let first = 0;
  for (let index = 1; index < workers.length; index++) if (workers[index] < workers[first]) first = index;
  workers[first] = Math.max(now, workers[first]) + workMs;
  return workers[first] - now;
}

function answer(response, status, body) {
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    ...(stopping ? { connection: "close" } : {}),
  });
  response.end(body);
}

const server = http.createServer((request, response) => {
  const path = request.url.split("?")[0];
  request.resume();
  if (request.method !== "GET") return answer(response, 405, '{"error":"only GET"}');
  if (path === "/healthz") return answer(response, 200, '{"ok":true}');
  if (path !== "/") return answer(response, 404, '{"error":"no such page"}');
  setTimeout(() => answer(response, 200, identity), reserve());
});
server.keepAliveTimeout = 60_000;

process.on("SIGTERM", () => {
  if (stopping) return;
  stopping = true;
  server.close(() => process.exit(0));
  server.closeIdleConnections();
  setTimeout(() => process.exit(1), 10_000).unref();
});

setTimeout(
  () => {
    if (!stopping) server.listen(Number(env.PORT), env.HOST ?? "127.0.0.1");
  },
  Number(env.START_DELAY_MS ?? 1_500),
);
