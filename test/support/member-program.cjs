/**
 * The application of the tests: a small HTTP server. `GET /` says who answers, `/healthz` whether it is well, `/slow?ms=` answers
 * late. Its behaviour comes from arguments (`--start-delay 500`, `--unhealthy`, `--crash-after 300`, `--ignore-sigterm`) or
 * from the variables START_DELAY_MS, UNHEALTHY, CRASH_AFTER_MS, IGNORE_SIGTERM, which a pool's environment can set.
 */
const http = require("node:http");

const args = process.argv.slice(2);
const option = (name, variable) => {
  const at = args.indexOf(`--${name}`);
  return at >= 0 ? (args[at + 1] ?? "1") : (process.env[variable] ?? "");
};
const startDelayMs = Number(option("start-delay", "START_DELAY_MS") || 0);
const crashAfterMs = option("crash-after", "CRASH_AFTER_MS");
const unhealthy = args.includes("--unhealthy") || process.env.UNHEALTHY === "1";
const ignoreSigterm = args.includes("--ignore-sigterm") || process.env.IGNORE_SIGTERM === "1";
const version = require("./version.json").version;

if (crashAfterMs !== "") {
  setTimeout(() => {
    process.stderr.write(`crashing as asked after ${crashAfterMs} ms\n`);
    process.exit(7);
  }, Number(crashAfterMs));
}

const server = http.createServer((request, response) => {
  const url = new URL(request.url, "http://member");
  const answer = (status) => {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(
      JSON.stringify({
        site: process.env.SPILLWAY_SITE,
        pool: process.env.SPILLWAY_POOL,
        member: process.env.SPILLWAY_MEMBER,
        version,
        path: url.pathname,
        greeting: process.env.GREETING,
      }),
    );
  };
  request.resume();
  if (unhealthy) return answer(503);
  if (url.pathname === "/crash") return process.exit(8);
  if (url.pathname === "/slow")
    return setTimeout(() => answer(200), Number(url.searchParams.get("ms") ?? 1000));
  answer(200);
});
server.keepAliveTimeout = 60_000;

process.on("SIGTERM", () => {
  if (ignoreSigterm) return;
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});

setTimeout(() => {
  server.listen(Number(process.env.PORT), process.env.HOST, () => {
    process.stdout.write(
      `${process.env.SPILLWAY_MEMBER} version ${version} listens at ${process.env.HOST}:${process.env.PORT}\n`,
    );
  });
}, startDelayMs);
