import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AbortedError } from "../../../lib/errors";
import { askNumber, QueryError } from "../../../lib/observers";
import { PrometheusObserver, prometheusProblems } from "../../../providers/prometheus";
import {
  describeWith,
  startExporter,
  startPrometheus,
  type TestExporter,
  type TestPrometheus,
} from "./support/prometheus";

async function failure(asking: Promise<unknown>): Promise<QueryError> {
  const error = await asking.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(QueryError);
  return error as QueryError;
}

describeWith(["prometheus"], "a real Prometheus", () => {
  let exporter: TestExporter;
  let prometheus: TestPrometheus;

  beforeAll(async () => {
    exporter = await startExporter('users{site="a"} 3', 'users{site="b"} 4', "nothing NaN");
    prometheus = await startPrometheus([{ job: "test", target: exporter.target }]);
    await prometheus.until("users", (samples) => samples.length === 2);
  });

  afterAll(async () => {
    await prometheus?.end();
    await exporter?.end();
  });

  test("is asked for one number", async () => {
    expect(await askNumber(prometheus.observer, "sum(users)")).toBe(7);
    expect(await askNumber(prometheus.observer, "scalar(sum(users)) + 1")).toBe(8);
  });

  test("tells of a mistake in PromQL with its own words and the position", async () => {
    const error = await failure(prometheus.observer.ask("sum(users"));
    expect(error.kind).toBe("query");
    expect(error.message).toContain("`sum(users`");
    expect(error.message).toContain("1:10: parse error");
    expect(error.message).toContain(prometheus.endpoint);
  });

  test("no data is no zero", async () => {
    const error = await failure(askNumber(prometheus.observer, "sum(no_such_metric)"));
    expect([error.kind, error.message]).toEqual(["data", expect.stringContaining("no data, which is not 0")]);
  });

  test("several series are no number, and are named", async () => {
    const error = await failure(askNumber(prometheus.observer, "users"));
    expect(error.message).toMatch(/2 series where one number is needed: .*site="a".*site="b"/);
  });

  test("neither NaN nor infinity is a number", async () => {
    expect((await failure(askNumber(prometheus.observer, "sum(nothing)"))).message).toContain("gives NaN");
    expect((await failure(askNumber(prometheus.observer, "sum(users) / 0"))).message).toContain("gives +Inf");
  });

  test("a range of values, a string and series that do not match are refused", async () => {
    expect((await failure(prometheus.observer.ask("users[1m]"))).kind).toBe("query");
    expect((await failure(prometheus.observer.ask('"a"'))).kind).toBe("query");
    const error = await failure(prometheus.observer.ask("users + on() users"));
    expect([error.kind, error.message]).toEqual(["data", expect.stringContaining("many-to-many")]);
  });

  test("a target that has gone leaves no number behind", async () => {
    const old = await startExporter("old_users 0");
    const other = await startPrometheus([{ job: "old", target: old.target }]);
    try {
      await other.until("old_users", ({ length }) => length === 1);
      // A target that has gone leaves nothing behind.
      await old.end();
      await other.until("old_users", ({ length }) => length === 0);
      await failure(askNumber(other.observer, "old_users"));
    } finally {
      await other.end();
    }
  }, 15_000);

  test("a Prometheus that is down, silent or not one is named, and never waited for long", async () => {
    const down = await failure(new PrometheusObserver({ endpoint: "http://127.0.0.1:1" }).ask("up"));
    expect([down.kind, down.message]).toEqual(["silence", expect.stringContaining("http://127.0.0.1:1")]);
    const wrongPath = new PrometheusObserver({ endpoint: `${prometheus.endpoint}/elsewhere` });
    expect((await failure(wrongPath.ask("up"))).message).toContain("status 404");
  });
});

describe("what a Prometheus may answer", () => {
  let server: Server;
  let endpoint: string;
  let answer: (body: string, headers: NodeJS.Dict<string | string[]>) => [number, string] | undefined;

  beforeAll(async () => {
    server = createServer((request, response) => {
      let body = "";
      request.on("data", (part) => (body += part));
      request.on("end", () => {
        const given = answer(body, request.headers);
        if (!given) return;
        response.statusCode = given[0];
        response.end(given[1]);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });

  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  const vector = (at: number, value: string, more = {}) =>
    JSON.stringify({
      status: "success",
      data: { resultType: "vector", result: [{ metric: {}, value: [at / 1_000, value] }] },
      ...more,
    });

  test("silence ends at its deadline, and at once when aborted", async () => {
    answer = () => undefined;
    const observer = new PrometheusObserver({ endpoint });
    const error = await failure(observer.ask("up", { timeoutMs: 100 }));
    expect([error.kind, error.message]).toEqual([
      "silence",
      expect.stringContaining("no answer within 100 ms"),
    ]);
    const abort = new AbortController();
    const asking = observer.ask("up", { signal: abort.signal });
    setTimeout(() => abort.abort(), 20);
    await expect(asking).rejects.toBeInstanceOf(AbortedError);
  });

  test("what a cache kept too long, and what is not whole, is no data", async () => {
    const observer = new PrometheusObserver({ endpoint });
    answer = () => [200, vector(Date.now() - 600_000, "0")];
    expect((await failure(observer.ask("up"))).message).toMatch(/(599|60\d) s old/);
    answer = () => [200, vector(Date.now(), "0", { warnings: ["store gateway is away"] })];
    expect((await failure(observer.ask("up"))).message).toContain("store gateway is away");
    answer = () => [200, vector(Date.now(), "0", { infos: ["metric might not be a counter"] })];
    expect(await askNumber(observer, "up")).toBe(0);
  });

  test("a page that is no answer of the API is told", async () => {
    const observer = new PrometheusObserver({ endpoint });
    answer = () => [200, "<html>sign in</html>"];
    expect((await failure(observer.ask("up"))).message).toContain("<html>sign in</html>");
    answer = () => [302, ""];
    expect((await failure(observer.ask("up"))).kind).toBe("refused");
    answer = () => [200, vector(Date.now(), "many")];
    expect((await failure(observer.ask("up"))).message).toContain("no number");
  });

  test("a token and a password are read for each request, and never told", async () => {
    const folder = mkdtempSync(join(tmpdir(), "spillway-prometheus-"));
    const file = join(folder, "secret");
    const seen: unknown[] = [];
    answer = (_body, { authorization }) => {
      seen.push(authorization);
      return authorization === "Bearer second-secret" ? [200, vector(Date.now(), "1")] : [401, "no"];
    };
    try {
      const observer = new PrometheusObserver({ endpoint, tokenFile: file });
      await expect(observer.ask("up")).rejects.toThrow(file);
      writeFileSync(file, "first-secret\n");
      const refused = await failure(observer.ask("up"));
      expect(refused.kind).toBe("refused");
      expect(refused.message).not.toContain("first-secret");
      writeFileSync(file, "second-secret\n");
      expect(await askNumber(observer, "up")).toBe(1);
      await failure(new PrometheusObserver({ endpoint, user: "me", passwordFile: file }).ask("up"));
      const basic = `Basic ${Buffer.from("me:second-secret").toString("base64")}`;
      expect(seen).toEqual(["Bearer first-secret", "Bearer second-secret", basic]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe("options", () => {
  test("all that is wrong is told at once, without a secret", () => {
    const problems = prometheusProblems(
      { endpoint: "ftp://me:hush@host", tokenFile: "a", tokenEnv: "B", user: "a:b" },
      "prometheus",
    );
    expect(problems.map(({ attribute }) => attribute?.[0])).toEqual([
      "endpoint",
      "tokenEnv",
      "user",
      "user",
      "user",
    ]);
    expect(JSON.stringify(problems)).not.toContain("hush");
    expect(prometheusProblems({ endpoint: "http://me:hush@host" }, "x")[0]?.problem).not.toContain("hush");
  });

  test("a token goes over plain http to loopback only", () => {
    expect(prometheusProblems({ endpoint: "http://10.0.0.1:9090", tokenFile: "t" }, "x")).toHaveLength(1);
    const allowed = { endpoint: "http://10.0.0.1:9090", tokenFile: "t", allowPlainHttp: true };
    expect(prometheusProblems(allowed, "x")).toEqual([]);
    expect(prometheusProblems({ endpoint: "http://10.0.0.1:9090" }, "x")).toEqual([]);
    expect(prometheusProblems({ endpoint: "http://127.0.0.1:9090/x", tokenFile: "t" }, "x")).toEqual([]);
    expect(prometheusProblems({ endpoint: "https://10.0.0.1", tokenFile: "t" }, "x")).toEqual([]);
  });
});
