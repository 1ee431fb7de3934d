import { createCipheriv } from "node:crypto";
import { closeSync, openSync, writeSync } from "node:fs";

const PART = 4 * 2 ** 20;

/** A stream of bytes that nothing compresses, the same for a seed everywhere. */
function noise(seed) {
  return createCipheriv("aes-128-ctr", Buffer.alloc(16, seed), Buffer.alloc(16));
}

export function writeNoise(path, bytes, seed) {
  const stream = noise(seed);
  const file = openSync(path, "w");
  for (let at = 0; at < bytes; at += PART)
    writeSync(file, stream.update(Buffer.alloc(Math.min(PART, bytes - at))));
  closeSync(file);
}

const METHODS = ["GET", "GET", "GET", "GET", "GET", "POST", "PUT", "HEAD"];
const PATHS = [
  "/",
  "/login",
  "/api/orders/",
  "/api/items/",
  "/static/app.js",
  "/static/site.css",
  "/cart",
  "/search?q=",
  "/img/",
];
const AGENTS = [
  "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36",
  "curl/7.88.1",
];
const STATUSES = [200, 200, 200, 200, 200, 200, 304, 302, 404, 500];

/** Lines of a web server's access log, from the line with number `from` on; the same everywhere. */
export function writeLog(path, { lines, from }) {
  const random = noise(9).update(Buffer.alloc((from + lines) * 16));
  const file = openSync(path, "w");
  let text = [];
  for (let line = from; line < from + lines; line++) {
    text.push(logLine(line, random.subarray(line * 16, line * 16 + 16)));
    if (text.length === 10_000 || line === from + lines - 1) {
      writeSync(file, `${text.join("\n")}\n`);
      text = [];
    }
  }
  closeSync(file);
}

function logLine(line, dice) {
  const at = new Date(Date.UTC(2026, 0, 1) + line * 397).toISOString();
  const path = PATHS[dice[4] % PATHS.length];
  const target = /[/=]$/.test(path) && path.length > 1 ? `${path}${dice.readUInt16LE(6) % 5_000}` : path;
  return (
    `10.${dice[0] % 16}.${dice[1]}.${dice[2]} - - [${at}] "${METHODS[dice[3] % METHODS.length]} ${target} HTTP/1.1" ` +
    `${STATUSES[dice[5] % STATUSES.length]} ${dice.readUInt16LE(8)} "-" "${AGENTS[dice[10] % AGENTS.length]}"`
  );
}
