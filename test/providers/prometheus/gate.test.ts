import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AbortedError, DeadlineError } from "../../../lib/errors";
import { HookMetrics, serveMetrics, querySide } from "../../../lib/hook";
import { withOtherEyes } from "../../../lib/hook/side-observer";
import { askNumber, QueryError } from "../../../lib/observers";
import type { SiteDirectory } from "../../../lib/site/client";
import type { SiteObservation } from "../../../lib/policy";
import { openGate, siphonUsers, type GateRequest, type SiphonRequest } from "../../../lib/steps";
import { directoryOf, listener } from "../../lib/steps/support/steps";
import { allUp, makeImage, poolSpec, poolUntil, push, startSite, type TestSite } from "../../support/site";
import {
  describeWith,
  startExporter,
  startPrometheus,
  type TestExporter,
  type TestPrometheus,
} from "./support/prometheus";

describeWith(["prometheus", "promtool"], "a burst that asks Prometheus", () => {
  const folder = mkdtempSync(join(tmpdir(), "spillway-prometheus-gate-"));
  let site: TestSite;
  let sites: SiteDirectory;
  let exporter: TestExporter;
  let prometheus: TestPrometheus;

  beforeAll(async () => {
    site = await startSite({ nameServer: true });
    sites = directoryOf(site);
    const image = await makeImage({ dir: folder });
    await push(site, image);
    await site.client.putPool("shop", await poolSpec(site, image, { members: 1 }));
    await poolUntil(site, "shop", allUp(1));
    exporter = await startExporter("warm 0", "edge_users 2", "demand 120");
    prometheus = await startPrometheus([
      { job: "test", target: exporter.target },
      { job: "spillway", target: new URL(site.endpoint).host, tokenFile: site.tokenFile },
    ]);
    await prometheus.until("warm", ({ length }) => length === 1);
  }, 30_000);

  afterAll(async () => {
    await prometheus?.end();
    await exporter?.end();
    sites?.close();
    await site?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const opening = (openWhen: Record<string, string>, deadlineMs = 10_000): GateRequest => ({
    ...{ site: "cloud", name: "shop", generation: "g1", successes: 2, deadlineMs },
    monitor: {
      type: "http",
      path: "/",
      expectStatus: 200,
      intervalMs: 50,
      timeoutMs: 1_000,
      rise: 1,
      fall: 1,
    },
    openWhen,
    observer: prometheus.observer,
  });
  const closing = (users: Record<string, string>, deadlineMs: number): SiphonRequest => ({
    ...{ site: "cloud", name: "shop", generation: "g1", onDeadline: "hold" },
    ...{ quietPeriodMs: 300, recordTtlMs: 0, deadlineMs },
    users,
    observer: prometheus.observer,
  });

  test("the agent's metrics are Prometheus', and only with the token", async () => {
    expect((await fetch(`${site.endpoint}/metrics`)).status).toBe(401);
    const headers = { authorization: `Bearer ${site.token}` };
    const text = await (await fetch(`${site.endpoint}/metrics`, { headers })).text();
    execFileSync("promtool", ["check", "metrics"], { input: text });
    expect(text).toContain('spillway_pool_members{site="cloud",pool="shop",state="up"} 1');
    await prometheus.until('spillway_pool_members{state="up"}', ([sample]) => sample?.value === 1);
    expect(await askNumber(prometheus.observer, 'spillway_pool_sessions{pool="shop"}')).toBe(0);
  }, 15_000);

  test("a gate stays shut while a condition is 0, or gives no data, and says which", async () => {
    const shut = await openGate(sites, opening({ warm: "warm" }, 700), listener()).catch((error) => error);
    expect(shut).toBeInstanceOf(DeadlineError);
    expect(shut.message).toContain('`open_when` "warm" does not hold: 0');
    await site.client.retryPool("shop");
    await poolUntil(site, "shop", allUp(1));
    const none = await openGate(sites, opening({ x: "no_such" }, 700), listener()).catch((error) => error);
    expect(none.message).toContain('`open_when` "x" does not hold: no data');
    await site.client.retryPool("shop");
    await poolUntil(site, "shop", allUp(1));
    await expect(openGate(sites, opening({ x: "warm(" }), listener())).rejects.toBeInstanceOf(QueryError);
    await site.client.retryPool("shop");
    await poolUntil(site, "shop", allUp(1));
    await expect(
      openGate(sites, { ...opening({ warm: "warm" }), observer: undefined }, listener()),
    ).rejects.toThrow("no Prometheus is configured");
  }, 30_000);

  test("a gate opens once its conditions hold", async () => {
    setTimeout(() => exporter.set("warm 1", "edge_users 2", "demand 120"), 300);
    const context = listener();
    await openGate(sites, opening({ warm: "warm" }), context);
    expect(context.said.some(({ message }) => message.includes("does not hold: 0"))).toBe(true);
  }, 15_000);

  test("a gate stays open while others see users, or cannot tell", async () => {
    const held = await siphonUsers(sites, closing({ edge: "edge_users" }, 1_500), listener()).catch((e) => e);
    expect(held).toBeInstanceOf(DeadlineError);
    expect(held.message).toContain('`users` "edge" still sees 2');
    const blind = await siphonUsers(sites, closing({ edge: "no_such" }, 1_500), listener()).catch((e) => e);
    expect(blind.message).toContain('`users` "edge" cannot tell');
    const stop = AbortSignal.timeout(300);
    await expect(
      siphonUsers(sites, closing({ edge: "edge_users" }, 9_000), { ...listener(), signal: stop }),
    ).rejects.toBeInstanceOf(AbortedError);
  }, 15_000);

  test("a gate closes when others have seen nobody for the quiet period", async () => {
    setTimeout(() => exporter.set("warm 1", "edge_users 0", "demand 120"), 500);
    const started = Date.now();
    await siphonUsers(sites, closing({ edge: "edge_users" }, 10_000), listener());
    expect(Date.now() - started).toBeGreaterThan(800);
  }, 15_000);

  const seen: SiteObservation = {
    ...{ site: "onprem", reachable: true, demandRps: 1, members: 2, membersUp: 2, memberCapacityRps: 40 },
    ...{ sessions: 5, openConnections: 5, queued: 0, p95Ms: 9, failedTotal: 0, linkBps: 1 },
  };

  test("the hook takes a figure from a query, and knows nothing of the side when the query fails", async () => {
    const { signal } = new AbortController();
    const look = (query: string, before = seen) =>
      withOtherEyes(before, [querySide(prometheus.observer, { demandRps: query })], signal);
    expect(await look("demand")).toEqual({ ...seen, demandRps: 120 });
    for (const query of ["no_such", "demand / 0", "-demand", "up"]) {
      expect(await look(query)).toMatchObject({ reachable: false, problem: expect.stringContaining(query) });
    }
    // Demand alone does not stand in for an agent that is silent.
    expect((await look("demand", { ...seen, reachable: false, problem: "silent" })).reachable).toBe(false);
    const all = querySide(prometheus.observer, {
      demandRps: "demand",
      membersUp: "vector(3)",
      sessions: "demand",
    });
    const stood = await withOtherEyes({ ...seen, reachable: false, problem: "silent" }, [all], signal);
    expect(stood).toEqual({ ...seen, demandRps: 120, membersUp: 3, members: 3, sessions: 120 });
  });

  test("the hook's metrics are Prometheus'", async () => {
    const metrics = new HookMetrics('sh"op');
    const server = await serveMetrics({ host: "127.0.0.1", port: 0 }, () => metrics.text());
    try {
      const before = await (await fetch(server.endpoint)).text();
      // What is not known yet is not 0.
      expect(before).not.toContain("spillway_hook_demand");
      metrics.see({
        ...{ at: 5_000, kind: "decided" },
        decision: {
          ...{ action: "burst", reason: "", phase: "bursting" },
          desired: { burst: true, cloudMembers: 2, weights: { onprem: 40, cloud: 60 } },
          figures: {
            ...{ demandRps: 412, forecastRps: 500, leadTimeMs: 45_000 },
            ...{ onPremCapacityRps: 400, utilisation: 1.2, membersNeeded: 2 },
          },
        },
      });
      const text = await (await fetch(server.endpoint)).text();
      execFileSync("promtool", ["check", "metrics"], { input: text });
      expect(text).toContain('spillway_hook_decisions_total{burst="sh\\"op",action="burst"} 1');
      expect(text).toContain('spillway_hook_lead_time_seconds{burst="sh\\"op"} 45');
      expect((await fetch(server.endpoint.replace("metrics", "other"))).status).toBe(404);
      const { host } = new URL(server.endpoint);
      const port = Number(host.split(":")[1]);
      await expect(serveMetrics({ host: "127.0.0.1", port }, () => "")).rejects.toThrow("--metrics");
    } finally {
      await server.close();
    }
  });
});
