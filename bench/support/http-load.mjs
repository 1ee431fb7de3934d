/**
 * A load generator of its own process: `node http-load.mjs PORT CONNECTIONS SECONDS [RATE]`. Keeps so many connections, one request
 * at a time on each; with a rate, requests start at that rate over all of them. Prints one JSON line.
 */
import { connect } from "node:net";

const [port, connections, seconds, rate] = process.argv.slice(2).map(Number);
const REQUEST = Buffer.from("GET /x HTTP/1.1\r\nHost: bench\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n");
const WARM_UP_MS = 1_000;

const latencies = [];
let failed = 0;
let measuring = false;
const idle = [];

function open() {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  let started = 0;
  let wanted = -1;
  let got = 0;
  const client = {
    send() {
      started = performance.now();
      socket.write(REQUEST);
    },
  };
  socket.on("data", (chunk) => {
    got += chunk.length;
    if (wanted === -1) {
      const head = chunk.toString("latin1");
      const end = head.indexOf("\r\n\r\n");
      if (!head.startsWith("HTTP/1.1 200")) failed += 1;
      wanted = end + 4 + Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
    }
    if (got < wanted) return;
    wanted = -1;
    got = 0;
    if (measuring) latencies.push(performance.now() - started);
    if (rate > 0) idle.push(client);
    else client.send();
  });
  socket.on("connect", () => (rate > 0 ? idle.push(client) : client.send()));
  socket.on("error", () => (failed += 1));
}

for (let index = 0; index < connections; index += 1) open();
let due = 0;
if (rate > 0) {
  setInterval(() => {
    due += rate / 100;
    // First in, first out: every connection gets its turn.
    for (; due >= 1; due -= 1) idle.shift()?.send();
  }, 10);
}

setTimeout(() => {
  measuring = true;
  process.stdout.write(`${JSON.stringify({ measuring: true })}\n`);
  const started = performance.now();
  setTimeout(() => {
    const elapsed = (performance.now() - started) / 1_000;
    latencies.sort((one, other) => one - other);
    const at = (share) =>
      latencies[Math.min(Math.floor(latencies.length * share), latencies.length - 1)] ?? 0;
    const result = {
      requests: latencies.length,
      perSecond: latencies.length / elapsed,
      failed,
      p50: at(0.5),
      p99: at(0.99),
    };
    process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
  }, seconds * 1_000);
}, WARM_UP_MS);
