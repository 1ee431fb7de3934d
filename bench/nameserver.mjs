/** The embedded name server: answers for a second of CPU, and how soon a change is answered. */
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promises as dns } from "node:dns";
import { main, measure } from "./support/run.mjs";

const { LocalNameServer } = createRequire(import.meta.url)("../dist/providers/local/nameserver/index.js");

const ANSWERS_PER_SECOND = 10_000;
const NAME = "shop.example.test";

export async function run() {
  const stateDir = mkdtempSync(join(tmpdir(), "spillway-bench-"));
  const server = new LocalNameServer({ stateDir, address: "127.0.0.1", port: 0 });
  try {
    await server.start();
    const put = (local) =>
      server.put(NAME, {
        owner: "bench",
        ttlSeconds: 30,
        answers: [
          { site: "onprem", address: "127.0.1.1", weight: local },
          { site: "cloud", address: "127.0.2.1", weight: 100 - local },
        ],
      });
    await put(80);
    const port = Number(server.endpoint.split(":").at(-1));
    const load = await measure(() => server.health(), "dns-load.mjs", port, NAME, 64, 4);
    const flip = await flips(server);
    const perCpu = Math.round(load.answers / load.cpuSeconds);
    return {
      title: "Embedded name server (weighted A over UDP with EDNS, 64 queries outstanding)",
      rows: [
        row(
          "answers per second, as this machine was",
          Math.round(load.perSecond),
          "answers/s",
          `>= ${ANSWERS_PER_SECOND}`,
          load.perSecond >= ANSWERS_PER_SECOND,
        ),
        row(
          "answers per CPU-second",
          perCpu,
          "answers/s",
          `>= ${ANSWERS_PER_SECOND}`,
          perCpu >= ANSWERS_PER_SECOND,
        ),
        row("p99", Number(load.p99.toFixed(2)), "ms"),
        row("queries lost", load.lost, "", "0", load.lost === 0),
        row("from a change's order to its answer, p95 of 100", Number(flip.toFixed(1)), "ms"),
        row("memory", Math.round(load.rssBytes / 1e6), "MB"),
      ],
    };
  } finally {
    await server.stop();
    rmSync(stateDir, { recursive: true, force: true });
  }
}

/** 95 % of changes were ordered, written down and answered within so many milliseconds. */
async function flips(server) {
  const resolver = new dns.Resolver();
  resolver.setServers([server.endpoint]);
  const times = [];
  for (let index = 0; index < 100; index += 1) {
    const address = `10.0.0.${index}`;
    const started = performance.now();
    await server.put(NAME, {
      owner: "bench",
      ttlSeconds: 30,
      answers: [{ site: "onprem", address, weight: 100 }],
    });
    const [answer] = await resolver.resolve4(NAME);
    if (answer !== address) throw new Error(`after the change to ${address} the answer was ${answer}`);
    times.push(performance.now() - started);
  }
  return times.sort((one, other) => one - other)[94];
}

function row(name, value, unit, goal = "", met = true) {
  return { name, value, unit, goal, met };
}

await main(import.meta.url, run);
