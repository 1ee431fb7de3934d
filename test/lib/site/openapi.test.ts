import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { load } from "js-yaml";
import { encodeSegment, imageDigest, IndexReader, leafOfZeros } from "../../../lib/image/wire";
import { checkPoolSpec, checkRecordSpec } from "../../../lib/site/agent/bodies";
import {
  checkEstimate,
  checkSnapshotRequest,
  checkTransferRequest,
} from "../../../lib/site/agent/image-bodies";
import { AgentError } from "../../../lib/site/agent/problems";
import { routesOf } from "../../../lib/site/agent/routes";
import type {
  PoolSpec,
  RecordSpec,
  SnapshotRequest,
  TransferEstimate,
  TransferRequest,
} from "../../../lib/site/api";
import { judge, resolve } from "../../support/json-schema";
import {
  type MadeImage,
  type TestSite,
  allUp,
  makeImage,
  poolSpec,
  poolUntil,
  push,
  startSite,
} from "../../support/site";

const ESTIMATE: TransferEstimate = {
  totalBytes: 1_000_000,
  inUseBytes: 800_000,
  presentBytes: 300_000,
  sendBytes: 500_000,
  etaMs: 40,
  rateBps: 100_000_000,
  rateIs: "assumed",
};

const SNAPSHOT: SnapshotRequest = {
  parentId: "snap-0123456789abcdef0",
  encrypted: true,
  kmsKeyId: "arn:aws:kms:eu-central-1:1:key/1",
  description: "a test",
  tags: { team: "shop" },
  lineage: "shop.img",
};

/** An image of nothing but zeros. */
const ZEROS = {
  bytes: 5_000,
  digest: imageDigest(5_000, [leafOfZeros(5_000)]),
  segment: {
    ...{ firstBlock: 0, blockCount: 1, bases: [], literals: [], leaves: [undefined] },
    ops: [{ kind: "zero", length: 5_000 }] as const,
  },
};

type Json = Readonly<Record<string, unknown>>;

const document = load(readFileSync(join(__dirname, "../../../lib/site/openapi.yaml"), "utf8")) as Json & {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Json>>>>;
};
const routes = routesOf({} as Parameters<typeof routesOf>[0]);

function operation(method: string, path: string): Json {
  const found = document.paths[path]?.[method.toLowerCase()];
  if (!found) throw new Error(`${method} ${path} is not in openapi.yaml`);
  return found;
}

/** The schema of an answer, by its status or by `default`. */
function schemaOf(method: string, path: string, status: number): Json | undefined {
  const responses = operation(method, path).responses as Json;
  let response = (responses[String(status)] ?? responses.default) as Json;
  if (typeof response.$ref === "string") response = resolve(response.$ref, document);
  const content = response.content as Record<string, { schema: Json }> | undefined;
  return content?.["application/json"]?.schema;
}

describe("openapi.yaml", () => {
  test("has the agent's methods and paths, all of them and no other", () => {
    const told = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(told.sort()).toEqual(routes.map(({ method, path }) => `${method} ${path}`).sort());
  });

  test("has the paths of the table in api.ts", () => {
    const api = readFileSync(join(__dirname, "../../../lib/site/api.ts"), "utf8");
    const rows = [...api.matchAll(/^ \* \| (GET|PUT|POST|DELETE) +(\/(?:v1|metrics)[^ ?|]*)/gm)].map(
      ([, method, path]) => `${method} ${path}`,
    );
    expect(rows.sort()).toEqual(routes.map(({ method, path }) => `${method} ${path}`).sort());
  });

  test("asks for a body exactly where the agent takes one, and lets in without a token only where it does", () => {
    for (const { method, path, takes, open } of routes) {
      const told = operation(method, path);
      const content = Object.keys((told.requestBody as { content?: Json } | undefined)?.content ?? {});
      const wanted =
        takes === "nothing" ? [] : [takes === "json" ? "application/json" : "application/octet-stream"];
      expect({ method, path, content }).toEqual({ method, path, content: wanted });
      expect({ path, open: told.security !== undefined }).toEqual({ path, open: open === true });
    }
  });

  test("answers bytes exactly where the agent does", () => {
    for (const { method, path, answers = "json" } of routes) {
      const { responses } = operation(method, path) as { responses: Record<string, { content?: Json }> };
      const content = Object.keys(responses["200"]?.content ?? {});
      const isBytes = content.includes("application/octet-stream");
      expect({ method, path, isBytes }).toEqual({ method, path, isBytes: answers === "bytes" });
    }
  });

  test("names every parameter of its paths", () => {
    for (const [path, methods] of Object.entries(document.paths)) {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      for (const told of Object.values(methods)) {
        const given = ((told.parameters ?? []) as { $ref: string }[])
          .map(({ $ref }) => resolve($ref, document))
          .filter((parameter) => parameter.in === "path")
          .map(({ name }) => name);
        expect(given).toEqual(inPath);
      }
    }
  });
});

describe("what an agent answers", () => {
  let dir: string;
  let site: TestSite;
  let image: MadeImage;

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), "spillway-openapi-"));
    site = await startSite({ site: "cloud", nameServer: true });
    image = await makeImage({ dir });
    await push(site, image);
  });

  afterAll(async () => {
    await site?.close();
    rmSync(dir, { recursive: true, force: true });
  });

  /** Asks, and holds the answer to its schema. */
  async function ask(
    method: string,
    path: string,
    parameters: Record<string, string> = {},
    body?: unknown,
    wanted?: number,
  ): Promise<unknown> {
    let url = path
      .split("?")[0]
      .replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(parameters[name]));
    if (path.includes("?")) url += `?${path.split("?")[1]}`;
    const bytes = body instanceof Uint8Array;
    const answer = await fetch(`${site.endpoint}${url}`, {
      method,
      headers: { authorization: `Bearer ${site.token}` },
      body: body === undefined ? undefined : bytes ? new Uint8Array(body) : JSON.stringify(body),
    });
    if (wanted !== undefined) expect({ url, status: answer.status }).toEqual({ url, status: wanted });
    const schema = schemaOf(method, path.split("?")[0], answer.status);
    if (answer.headers.get("content-type") === "application/octet-stream") {
      const told = operation(method, path).responses as Record<string, { content: Json }>;
      expect(Object.keys(told[answer.status]?.content ?? {})).toEqual(["application/octet-stream"]);
      return new Uint8Array(await answer.arrayBuffer());
    }
    const text = await answer.text();
    if (!schema) {
      expect(text).toBe("");
      return undefined;
    }
    const value = JSON.parse(text) as unknown;
    expect({ url, found: judge(value, schema, document) }).toEqual({ url, found: [] });
    return value;
  }

  test("is as the file says, on the whole way of a pool, an image and a record", async () => {
    const { digest } = image;
    const spec = await poolSpec(site, image, { claim: "c1", environment: { A: "b" } });
    await ask("GET", "/v1/health", {}, undefined, 200);
    await ask("GET", "/v1/images", {}, undefined, 200);
    await ask("GET", "/v1/images/{digest}", { digest }, undefined, 200);
    const index = await ask("GET", "/v1/images/{digest}/index", { digest }, undefined, 200);
    expect((await IndexReader.of(index as Uint8Array)).digest).toBe(digest);
    await ask("POST", "/v1/images/{digest}/estimate", { digest }, ESTIMATE, 200);
    expect(await ask("POST", "/v1/images/{digest}/verify", { digest }, undefined, 200)).toMatchObject({
      complete: true,
    });
    const [known, fresh] = ["a".repeat(64), "b".repeat(64)];
    const opened = { sizeBytes: image.bytes, digest };
    expect(await ask("PUT", "/v1/transfers/{id}", { id: known }, opened, 200)).toMatchObject({
      complete: { digest },
    });
    const state = await ask("PUT", "/v1/transfers/{id}", { id: fresh }, { sizeBytes: ZEROS.bytes }, 200);
    expect(state).toMatchObject({ images: [digest], arrived: "" });
    const segment = await encodeSegment(ZEROS.segment, { quality: 1, window: 16 });
    const sent = { id: fresh, segmentId: segment.id };
    await ask("PUT", "/v1/transfers/{id}/segments/{segmentId}", sent, segment.bytes, 200);
    const whole = { digest: ZEROS.digest };
    await ask("POST", "/v1/transfers/{id}/complete", { id: fresh }, whole, 200);
    await ask("DELETE", "/v1/images/{digest}", whole, undefined, 204);
    await ask("PUT", "/v1/pools/{name}", { name: "shop" }, spec, 202);
    await poolUntil(site, "shop", allUp(2));
    await ask("PUT", "/v1/pools/{name}/gate", { name: "shop" }, { generation: "g", admittedAt: 1 }, 200);
    await ask("GET", "/v1/pools/{name}", { name: "shop" }, undefined, 200);
    await ask("GET", "/v1/pools/{name}/traffic", { name: "shop" }, undefined, 200);
    const quiesce = { share: 0.5, forMs: 60_000, idleCloseMs: 100 };
    await ask("POST", "/v1/pools/{name}/quiesce", { name: "shop" }, quiesce, 200);
    await ask("POST", "/v1/pools/{name}/fail", { name: "shop" }, { reason: "a test" }, 200);
    await ask("POST", "/v1/pools/{name}/retry", { name: "shop" }, undefined, 200);
    const record = {
      owner: "test",
      ttlSeconds: 5,
      answers: [{ site: "cloud", address: "127.0.0.1", weight: 100, pool: "cloud/shop" }],
    };
    await ask("PUT", "/v1/records/{name}", { name: "shop.example.test" }, record, 200);
    await ask("GET", "/v1/records/{name}", { name: "shop.example.test" }, undefined, 200);
    const listed = await ask("GET", "/v1/records", {}, undefined, 200);
    expect(listed).toMatchObject({ records: [{ name: "shop.example.test" }] });
    const context = (await ask("GET", "/v1/context", {}, undefined, 200)) as {
      pools: unknown[];
      records: unknown[];
      nameServer: string;
    };
    expect(context).toMatchObject({
      pools: [{ name: "shop" }],
      records: [{ name: "shop.example.test" }],
      nameServer: site.nameServer,
    });
    await ask("DELETE", "/v1/images/{digest}", { digest }, undefined, 409);
    await ask("DELETE", "/v1/records/{name}?owner=test", { name: "shop.example.test" }, undefined, 204);
    await ask("DELETE", "/v1/pools/{name}?owner=test", { name: "shop" }, undefined, 202);
    await poolUntil(site, "shop", (status) => status === undefined);
    await ask("DELETE", "/v1/images/{digest}", { digest }, undefined, 204);
    await ask("GET", "/v1/events", {}, undefined, 200);
  });

  test("is a problem as the file says, for each kind of refusal", async () => {
    const digest = `sha256:${"7".repeat(64)}`;
    const nothing = await ask("GET", "/v1/pools/{name}", { name: "nothing" }, undefined, 404);
    expect(nothing).toMatchObject({ code: "not-found" });
    await ask("GET", "/v1/images/{digest}", { digest }, undefined, 404);
    await ask("GET", "/v1/images/{digest}", { digest: "md5:1" }, undefined, 400);
    await ask("GET", "/v1/images/{digest}/index", { digest }, undefined, 404);
    await ask("POST", "/v1/images/{digest}/verify", { digest }, undefined, 404);
    await ask("POST", "/v1/images/{digest}/estimate", { digest }, { ...ESTIMATE, sendBytes: -1 }, 400);
    const id = "c".repeat(64);
    const segmentId = "d".repeat(32);
    await ask("PUT", "/v1/transfers/{id}", { id: "x" }, { sizeBytes: 1 }, 400);
    await ask("PUT", "/v1/transfers/{id}", { id }, { sizeBytes: 0 }, 400);
    const segments = "/v1/transfers/{id}/segments/{segmentId}";
    const segment = await encodeSegment(ZEROS.segment, { quality: 1, window: 16 });
    await ask("PUT", segments, { id, segmentId: segment.id }, segment.bytes, 404);
    await ask("PUT", segments, { id, segmentId: "x" }, new Uint8Array(100), 400);
    await ask("POST", "/v1/transfers/{id}/complete", { id }, { digest }, 404);
    await ask("POST", "/v1/transfers/{id}/complete", { id }, {}, 400);
    await ask("PUT", "/v1/transfers/{id}", { id }, { sizeBytes: 1_000_000 }, 200);
    const refused = await ask("PUT", segments, { id, segmentId }, new Uint8Array(1_000), 422);
    expect(refused).toMatchObject({ code: "image-corrupt" });
    await ask("POST", "/v1/transfers/{id}/complete", { id }, { digest }, 409);
    await ask("PUT", "/v1/pools/{name}", { name: "shop" }, {}, 400);
    await ask("PUT", "/v1/pools/{name}", { name: "shop" }, await poolSpec(site, { ...image, digest }), 409);
    await ask("PUT", "/v1/records/{name}", { name: "-" }, {}, 400);
    await ask("GET", "/v1/records/{name}", { name: "nobody.test" }, undefined, 404);
    await ask("DELETE", "/v1/pools/{name}", { name: "shop" }, undefined, 400);
    await ask("DELETE", "/v1/pools/{name}?owner=test", { name: "shop" }, undefined, 404);
    await ask("GET", "/v1/events?after=x", {}, undefined, 400);
    const snapshots = "/v1/images/{digest}/snapshots";
    await ask("POST", snapshots, { digest }, { encrypted: "yes" }, 400);
    const none = await ask("GET", snapshots, { digest }, undefined, 400);
    expect(none).toMatchObject({ problem: "this site's agent makes no snapshots" });
    await ask("DELETE", `${snapshots}/{snapshotId}`, { digest, snapshotId: "vol-1" }, undefined, 400);
  });
});

describe("what an agent takes", () => {
  const pool: PoolSpec = {
    owner: "test",
    image: `sha256:${"a".repeat(64)}`,
    members: 2,
    listen: { address: "127.0.0.1", port: 8080, mode: "http" },
    monitor: {
      type: "http",
      path: "/",
      expectStatus: 200,
      intervalMs: 2000,
      timeoutMs: 1000,
      rise: 2,
      fall: 3,
    },
    affinity: "cookie",
    maxConnections: 0,
    sessionIdleMs: 30_000,
    environment: { A: "b" },
    launchTimeoutMs: 120_000,
    drainTimeoutMs: 600_000,
    hosts: ["shop.example.org"],
  };
  const record: RecordSpec = {
    owner: "test",
    ttlSeconds: 30,
    answers: [
      { site: "onprem", address: "192.0.2.1", weight: 60 },
      { site: "cloud", address: "192.0.2.2", weight: 40 },
    ],
  };

  const request: TransferRequest = { sizeBytes: 1_000_000, digest: pool.image, peek: true };

  test("is what the file allows: a body that breaks its schema is refused as invalid", () => {
    const cases = [
      {
        name: "PoolSpec",
        good: pool as unknown,
        check: (body: unknown) => checkPoolSpec(body, "test") as unknown,
      },
      {
        name: "RecordSpec",
        good: record as unknown,
        check: (body: unknown) => checkRecordSpec(body, "test") as unknown,
      },
      {
        name: "TransferEstimate",
        good: ESTIMATE as unknown,
        check: (body: unknown) => checkEstimate(body, "test") as unknown,
      },
      {
        name: "TransferRequest",
        good: request as unknown,
        check: (body: unknown) => checkTransferRequest(body, "test") as unknown,
      },
      {
        name: "SnapshotRequest",
        good: SNAPSHOT as unknown,
        check: (body: unknown) => checkSnapshotRequest(body, "test") as unknown,
      },
    ];
    const odd = fc.oneof(
      fc.jsonValue(),
      fc.integer(),
      fc.constantFrom(null, "", "x", -1, 0, 1.5, 1e12, [], {}, "1"),
    );
    for (const { name, good, check } of cases) {
      const schema = resolve(`#/components/schemas/${name}`, document);
      expect(judge(good, schema, document)).toEqual([]);
      expect(check(good)).toEqual(good);
      const places = placesIn(good);
      fc.assert(
        fc.property(fc.constantFrom(...places), odd, fc.boolean(), (place, value, remove) => {
          const body = changed(good, place, value, remove);
          const found = judge(body, schema, document);
          fc.pre(found.length > 0);
          expect(() => check(body)).toThrow(AgentError);
        }),
        { numRuns: 400 },
      );
    }
  });

  /** Every place of a value, as a path. */
  function placesIn(value: unknown, at: readonly string[] = []): (readonly string[])[] {
    if (typeof value !== "object" || value === null) return [at];
    const inner = Object.entries(value).flatMap(([name, member]) => placesIn(member, [...at, name]));
    return [at, [...at, "unknown"], ...inner];
  }

  function changed(
    from: unknown,
    [first, ...rest]: readonly string[],
    value: unknown,
    remove: boolean,
  ): unknown {
    if (first === undefined) return value;
    const copy = (Array.isArray(from) ? [...(from as unknown[])] : { ...(from as object) }) as Record<
      string,
      unknown
    >;
    if (rest.length === 0 && remove && !Array.isArray(from)) delete copy[first];
    else copy[first] = changed(copy[first], rest, value, remove);
    return copy;
  }
});
