/**
 * A DNS load generator of its own process: `node dns-load.mjs PORT NAME OUTSTANDING SECONDS`. Keeps so many queries outstanding over
 * UDP; a query that is not answered within a second counts as lost. Prints one JSON line.
 */
import { createSocket } from "node:dgram";
import { encode } from "dns-packet";

const [port, outstanding, seconds] = [2, 4, 5].map((at) => Number(process.argv[at]));
const name = process.argv[3];
const WARM_UP_MS = 500;

const template = encode({
  type: "query",
  id: 0,
  flags: 0x0100,
  questions: [{ type: "A", name }],
  additionals: [{ type: "OPT", name: ".", udpPayloadSize: 1_232, flags: 0, options: [] }],
});
const sent = new Float64Array(65_536);
const latencies = [];
let next = 0;
let lost = 0;
let measuring = false;

const socket = createSocket({ type: "udp4", lookup: (host, _options, found) => found(null, host, 4) });
socket.on("message", (answer) => {
  const id = answer.readUInt16BE(0);
  if (sent[id] === 0) return;
  if (measuring) latencies.push(performance.now() - sent[id]);
  sent[id] = 0;
  send();
});
function send() {
  next = (next + 1) & 0xffff;
  const query = Buffer.from(template);
  query.writeUInt16BE(next, 0);
  sent[next] = performance.now();
  socket.send(query, port, "127.0.0.1");
}

setInterval(() => {
  const oldest = performance.now() - 1_000;
  for (let id = 0; id < sent.length; id += 1) {
    if (sent[id] === 0 || sent[id] > oldest) continue;
    sent[id] = 0;
    if (measuring) lost += 1;
    send();
  }
}, 500);
socket.bind(0, "127.0.0.1", () => {
  socket.setRecvBufferSize(4 * 1024 * 1024);
  for (let index = 0; index < outstanding; index += 1) send();
});

setTimeout(() => {
  measuring = true;
  process.stdout.write(`${JSON.stringify({ measuring: true })}\n`);
  const started = performance.now();
  setTimeout(() => {
    const elapsed = (performance.now() - started) / 1_000;
    latencies.sort((one, other) => one - other);
    const at = (share) => latencies[Math.floor(latencies.length * share)] ?? 0;
    const result = {
      answers: latencies.length,
      perSecond: latencies.length / elapsed,
      lost,
      p50: at(0.5),
      p99: at(0.99),
    };
    process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
  }, seconds * 1_000);
}, WARM_UP_MS);
