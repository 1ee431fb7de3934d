/** The embedded balancer: requests for a second of CPU, the latency it adds, its memory at 2,000 connections. */
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, main, measure, start } from "./support/run.mjs";

const { LocalBalancer } = createRequire(import.meta.url)("../dist/providers/local/balancer/index.js");

const REQUESTS_PER_CPU_SECOND = 5_000;
const MEMORY_MB = 100;
const CONNECTIONS = 2_000;

export async function run() {
  const stateDir = mkdtempSync(join(tmpdir(), "spillway-bench-"));
  const members = [start("member.mjs"), start("member.mjs")];
  const balancer = new LocalBalancer({ stateDir });
  try {
    const ports = await Promise.all(members.map(async ({ lines }) => Number((await lines.next()).value)));
    await balancer.start();
    const health = () => balancer.health();
    const pool = async (name, affinity) => {
      const port = await freePort();
      await balancer.put({
        name,
        listen: { address: "127.0.0.1", port, mode: "http" },
        monitor: {
          type: "http",
          path: "/",
          expectStatus: 200,
          intervalMs: 2_000,
          timeoutMs: 1_000,
          rise: 1,
          fall: 5,
        },
        affinity,
        maxConnections: 0,
        sessionIdleMs: 30_000,
        members: ports.map((at, index) => ({
          id: `m${index}`,
          address: "127.0.0.1",
          port: at,
          draining: false,
        })),
        quiesce: { share: 0, forMs: 0, idleCloseMs: 0 },
      });
      while ((await balancer.view(name)).traffic.membersUp < ports.length) await pause(20);
      return port;
    };
    const plain = await pool("plain", "none");
    const sticky = await pool("sticky", "cookie");

    const direct = await measure(health, "http-load.mjs", ports[0], 16, 2, 500);
    const through = await measure(health, "http-load.mjs", plain, 16, 2, 500);
    // Before the full load, whose garbage would be measured with it.
    const many = await measure(health, "http-load.mjs", plain, CONNECTIONS, 4, 2_000);
    const full = await measure(health, "http-load.mjs", plain, 64, 4);
    const cookies = await measure(health, "http-load.mjs", sticky, 64, 3);
    const all = [direct, through, many, full, cookies];

    const perCpu = (load) => Math.round(load.requests / load.cpuSeconds);
    const failed = all.reduce((sum, load) => sum + load.failed, 0);
    const memory = Math.round(many.rssBytes / 1e6);
    return {
      title: "Embedded balancer (64 kept-alive connections, 200-byte answers, 2 members)",
      rows: [
        row(
          "requests per CPU-second",
          perCpu(full),
          "requests/s",
          `>= ${REQUESTS_PER_CPU_SECOND}`,
          perCpu(full) >= REQUESTS_PER_CPU_SECOND,
        ),
        row(
          "the same, setting affinity cookies",
          perCpu(cookies),
          "requests/s",
          `>= ${REQUESTS_PER_CPU_SECOND}`,
          perCpu(cookies) >= REQUESTS_PER_CPU_SECOND,
        ),
        row("requests per second, as this machine was", Math.round(full.perSecond), "requests/s"),
        row("p99 at full load", round(full.p99), "ms"),
        row("p50 added at 500 requests/s", round(through.p50 - direct.p50), "ms"),
        row("p99 at 500 requests/s", round(through.p99), "ms"),
        row(
          `memory at ${CONNECTIONS} connections, 2,000 requests/s`,
          memory,
          "MB",
          `< ${MEMORY_MB}`,
          memory < MEMORY_MB,
        ),
        row("requests that failed", failed, "", "0", failed === 0),
      ],
    };
  } finally {
    await balancer.stop();
    for (const { child } of members) child.kill();
    rmSync(stateDir, { recursive: true, force: true });
  }
}

function row(name, value, unit, goal = "", met = true) {
  return { name, value, unit, goal, met };
}

function round(value) {
  return Number(value.toFixed(2));
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

await main(import.meta.url, run);
