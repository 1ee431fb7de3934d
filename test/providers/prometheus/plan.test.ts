import { sideObservers } from "../../../cli/observers";
import { Diagnostic, type HandlerContext } from "../../../providers/terraform/plugin";
import { checkQueries } from "../../../providers/terraform/resources/check-queries";
import { makeClient } from "../../../providers/terraform/resources/client";
import { startOwnHaproxy } from "../haproxy/support/own-haproxy";
import { describeWith, startPrometheus, type TestPrometheus } from "./support/prometheus";

describeWith(["prometheus", "haproxy"], "queries, before anything is done about them", () => {
  let prometheus: TestPrometheus;
  const warnings: string[] = [];
  const ctx = {
    signal: new AbortController().signal,
    warn: (summary: string) => void warnings.push(summary),
    log: () => undefined,
  } as HandlerContext;

  beforeAll(async () => {
    prometheus = await startPrometheus([]);
  }, 15_000);

  afterAll(() => prometheus?.end());

  const clientOf = (endpoint: string) =>
    makeClient(null, "/", undefined, {
      endpoint,
      ...{
        token_file: null,
        token_env: null,
        user: null,
        password_file: null,
        password_env: null,
        ca_file: null,
      },
    });
  const check = (endpoint: string | undefined, query: string) =>
    checkQueries(endpoint ? clientOf(endpoint) : makeClient(null, "/"), "open_when", { warm: query }, ctx);

  test("a plan refuses a mistake in PromQL, and queries that nobody is there to ask", async () => {
    const wrong = (await check(prometheus.endpoint, "sum(x").catch((error: unknown) => error)) as Diagnostic;
    expect(wrong).toBeInstanceOf(Diagnostic);
    expect(wrong.message).toContain("parse error");
    const nobody = await check(undefined, "x").catch((error: unknown) => error);
    expect(nobody).toBeInstanceOf(Diagnostic);
    expect((nobody as Diagnostic).message).toContain("no Prometheus is configured");
    expect(warnings).toEqual([]);
  });

  test("a plan takes no data for granted, and warns of a Prometheus that is silent", async () => {
    await check(prometheus.endpoint, "no_such_metric > 1");
    expect(warnings).toEqual([]);
    await check("http://127.0.0.1:1", "x");
    expect(warnings).toEqual([expect.stringContaining("does not answer the query `x`")]);
  });

  test("a HAProxy that Spillway does not manage is an observer of the hook", async () => {
    const own = await startOwnHaproxy(
      "backend apps\n    mode http\n    server a 127.0.0.1:1\n    server b 127.0.0.1:1\n",
    );
    try {
      const at = { socket: own.socket, backend: "apps" };
      const [look] = sideObservers({ onPrem: { haproxy: at } }).onPrem;
      expect(await look?.(ctx.signal)).toMatchObject({ demandRps: 0, members: 2, membersUp: 2, sessions: 0 });
      const [nowhere] = sideObservers({ onPrem: { haproxy: { ...at, backend: "none" } } }).onPrem;
      await expect(nowhere?.(ctx.signal)).rejects.toThrow('no backend "none"');
    } finally {
      await own.end();
    }
  }, 10_000);
});
