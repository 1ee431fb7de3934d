import { spawn, type ChildProcess } from "node:child_process";
import { createServer, get, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { askNumber } from "../../../lib/observers";
import { haproxyQueries, nodeQueries, poolQueries } from "../../../providers/prometheus";
import { startOwnHaproxy, type OwnHaproxy } from "../haproxy/support/own-haproxy";
import { freePort } from "../local/support/balancer";
import { describeWith, startPrometheus, type TestPrometheus } from "./support/prometheus";

describeWith(
  ["prometheus", "haproxy", "prometheus-node-exporter"],
  "ready-made queries, asked for real",
  () => {
    let slow: Server;
    let haproxy: OwnHaproxy;
    let node: ChildProcess;
    let prometheus: TestPrometheus;
    let port: number;
    const held: ReturnType<typeof get>[] = [];

    beforeAll(async () => {
      slow = createServer((request, response) => {
        if (request.url === "/hold") return;
        setTimeout(() => response.end("ok"), 20);
      });
      await new Promise<void>((resolve) => slow.listen(0, "127.0.0.1", resolve));
      const app = (slow.address() as AddressInfo).port;
      const exporter = await freePort();
      const nodePort = await freePort();
      port = await freePort();
      haproxy = await startOwnHaproxy(`
defaults
    mode http
    timeout connect 1s
    timeout client 30s
    timeout server 30s
frontend metrics
    bind 127.0.0.1:${exporter}
    http-request use-service prometheus-exporter if { path /metrics }
frontend spillway.shop
    bind 127.0.0.1:${port}
    default_backend spillway.shop.members
backend spillway.shop.members
    server a 127.0.0.1:${app} maxconn 1
    server b 127.0.0.1:${app} disabled
    server c 127.0.0.1:1 check inter 100 fall 1
backend empty
`);
      node = spawn(
        "prometheus-node-exporter",
        [
          `--web.listen-address=127.0.0.1:${nodePort}`,
          "--collector.disable-defaults",
          "--collector.cpu",
          "--collector.meminfo",
          "--collector.netdev",
        ],
        { stdio: "ignore" },
      );
      prometheus = await startPrometheus([
        { job: "haproxy", target: `127.0.0.1:${exporter}` },
        { job: "node", target: `127.0.0.1:${nodePort}` },
        { job: "down", target: "127.0.0.1:1" },
      ]);
      await prometheus.until("sum(up)", ([sample]) => sample?.value === 2);
    }, 20_000);

    afterAll(async () => {
      for (const request of held) request.destroy();
      await prometheus?.end();
      await haproxy?.end();
      node?.kill("SIGKILL");
      slow?.closeAllConnections();
      slow?.close();
    });

    test("a pool's sessions, requests, queue and members are what happens there", async () => {
      const queries = poolQueries("shop", { overMs: 5_000 });
      const ask = (query: string) => askNumber(prometheus.observer, query);
      await prometheus.until(queries.membersUp, ([sample]) => sample?.value === 1);
      // The one in maintenance is in no service; the one that cannot be reached is.
      expect(await ask(queries.members)).toBe(2);
      for (let count = 0; count < 20; count++) await (await fetch(`http://127.0.0.1:${port}/`)).text();
      for (let count = 0; count < 3; count++) {
        held.push(get({ host: "127.0.0.1", port, path: "/hold", agent: false }).on("error", () => undefined));
      }
      await prometheus.until(queries.queued, ([sample]) => sample?.value === 2);
      expect(await ask(queries.sessions)).toBeGreaterThanOrEqual(3);
      await prometheus.until(
        queries.requestsPerSecond,
        ([sample]) => sample !== undefined && sample.value > 1,
      );
      expect(await ask(queries.failedPerSecond)).toBe(0);
      await prometheus.until(queries.meanLatencyMs, ([sample]) => sample !== undefined && sample.value >= 1);
      await prometheus.until(
        queries.slowestMemberMs,
        ([sample]) => sample !== undefined && sample.value >= 1,
      );
    }, 20_000);

    test("a backend without members has none, and one that is not there has no number", async () => {
      const empty = haproxyQueries({ backend: "empty" });
      for (const query of [empty.members, empty.membersUp, empty.queued, empty.sessions]) {
        expect(await askNumber(prometheus.observer, query)).toBe(0);
      }
      for (const query of Object.values(haproxyQueries({ backend: "nowhere", frontend: "nowhere" }))) {
        expect(await prometheus.observer.ask(query)).toEqual([]);
      }
    });

    test("of a job there are figures while all its targets are up, and none otherwise", async () => {
      const { sessions, members, queued } = haproxyQueries({ backend: "empty", job: "haproxy" });
      for (const query of [sessions, members, queued])
        expect(await askNumber(prometheus.observer, query)).toBe(0);
      const oneIsDown = sessions.replace('min(up{job="haproxy"})', "min(up)");
      await prometheus.until("min(up)", ([sample]) => sample?.value === 0);
      expect(await prometheus.observer.ask(oneIsDown)).toEqual([]);
    });

    test("a machine's load, memory and network are numbers", async () => {
      const queries = nodeQueries({ job: "node", overMs: 5_000 });
      await prometheus.until(queries.cpuBusyShare, ([sample]) => sample !== undefined);
      for (const share of [queries.cpuBusyShare, queries.memoryUsedShare]) {
        const value = await askNumber(prometheus.observer, share);
        expect(value).toBeGreaterThanOrEqual(0);
        expect(value).toBeLessThanOrEqual(1);
      }
      expect(await askNumber(prometheus.observer, queries.memoryAvailableBytes)).toBeGreaterThan(1e6);
      // The exporter leaves loopback out by itself; what the others carry depends on the machine.
      await prometheus.until(queries.sentBps, ([sample]) => sample !== undefined && sample.value >= 0);
      await prometheus.until(queries.receivedBps, ([sample]) => sample !== undefined && sample.value >= 0);
    }, 20_000);

    test("whatever name it is asked for, the query is PromQL", async () => {
      for (const name of ['a"b', "a\\b", "a\nb", "ä{}"]) {
        expect(await prometheus.observer.ask(haproxyQueries({ backend: name }).queued)).toEqual([]);
      }
    });
  },
);
