import * as fc from "fast-check";
import { Token } from "cdktf";
import { HealthMonitor, Image, Site } from "../../../lib";
import { hclDuration } from "../../../lib/constructs/durations";
import { addressKind } from "../../../lib/constructs/site";
import { parseDurationMs } from "../../../lib/duration";
import { DIGEST, problemsOf, refusalsOf } from "./support";

const SITE = { endpoint: "https://agent.example:7501", address: "192.0.2.1" };

describe("Site", () => {
  test("takes https anywhere and plain http on loopback", () => {
    for (const endpoint of [
      "https://agent.example:7501",
      "http://127.0.0.1:7501",
      "http://localhost:1",
      "http://[::1]:7501",
    ]) {
      expect(new Site("dc-1", { ...SITE, endpoint }).access.endpoint).toBe(endpoint);
    }
  });

  test.each([
    ["http://agent.example:7501", "would send the token over the network in clear"],
    ["http://127.0.0.1.evil.example", "in clear"],
    ["agent.example:7501", 'must be https or http, got "agent.example:7501"'],
    ["not a url", "must be a URL"],
    ["https://agent.example/v1", "scheme, host and port only"],
  ])("refuses the endpoint %s", (endpoint, problem) => {
    expect(refusalsOf(() => new Site("dc", { ...SITE, endpoint }))).toEqual([
      expect.stringContaining(problem),
    ]);
  });

  test.each(["https://me:hunter2@agent.example", "https://me:hunter2 @a b", "ftp://me:hunter2@a"])(
    "does not repeat a password that was written into the endpoint %#",
    (endpoint) => {
      const problems = problemsOf(() => new Site("dc", { ...SITE, endpoint }));
      expect(problems).toHaveLength(1);
      expect(JSON.stringify(problems)).not.toContain("hunter2");
    },
  );

  test("reports everything that is wrong at once, under its name", () => {
    const problems = problemsOf(
      () =>
        new Site("Cloud_1", {
          endpoint: "ftp://x",
          address: "1.2.3.4.5",
          tokenFile: "t",
          tokenEnv: "s3cr3t token",
        }),
    );
    expect(problems.map(({ attribute }) => attribute?.[0])).toEqual([
      "name",
      "endpoint",
      "address",
      "tokenEnv",
      "tokenEnv",
    ]);
    expect(problems.every(({ place }) => place === "Site Cloud_1")).toBe(true);
  });

  test.each([
    ["192.0.2.1", "A"],
    ["2001:db8::1", "AAAA"],
    ["shop.cdn.example", "CNAME"],
    ["shop.cdn.example.", "CNAME"],
    ["1.2.3", undefined],
    ["300.1.1.1", undefined],
    ["shop", undefined],
    ["-a.example", undefined],
    ["http://x", undefined],
    ["host:80", undefined],
    ["", undefined],
  ])("address %p is answered as %p", (address, kind) => {
    expect(addressKind(address)).toBe(kind);
  });
});

describe("Image", () => {
  test("is a source and, if wished, what it must be", () => {
    expect(new Image({ source: "shop.tar", digest: DIGEST })).toMatchObject({
      source: "shop.tar",
      digest: DIGEST,
    });
  });

  test("refuses an empty source and a digest in another form, both at once", () => {
    expect(refusalsOf(() => new Image({ source: " ", digest: DIGEST.toUpperCase() }))).toEqual([
      '`source` must not be empty, got " "',
      expect.stringContaining("`digest` must be sha256: and 64 lower-case hex digits, got"),
    ]);
  });

  test("does not judge a token", () => {
    expect(
      refusalsOf(() => new Image({ source: "x", digest: Token.asString({ resolve: () => "later" }) })),
    ).toEqual([]);
  });
});

describe("HealthMonitor", () => {
  test("writes only what was given, times as durations", () => {
    expect(new HealthMonitor({ path: "/up", intervalMs: 1_500 }).render()).toEqual({
      path: "/up",
      interval: "1500ms",
    });
    expect(new HealthMonitor().render()).toEqual({});
  });

  test("an interval below the default timeout takes the timeout with it", () => {
    expect(new HealthMonitor({ intervalMs: 300 }).render()).toEqual({ interval: "300ms", timeout: "300ms" });
  });

  test.each([
    [{ path: "healthz" }, "`path` must begin with a slash"],
    [{ path: "/a b" }, "hold no spaces"],
    [{ type: "tcp", path: "/x" } as const, "`type` is tcp, which asks for no `path`"],
    [{ expectStatus: 42 }, "`expectStatus` must be a whole number from 100 to 599, got 42"],
    [{ intervalMs: 0 }, "`intervalMs` must be a whole number of milliseconds, at least 100"],
    [{ intervalMs: 500, timeoutMs: 600 }, "`timeoutMs` must be at most `intervalMs` (500), got 600"],
    [{ rise: 0 }, "`rise` must be a whole number of at least 1, got 0"],
    [{ fall: 1.5 }, "`fall` must be a whole number of at least 1, got 1.5"],
  ])("refuses %p", (props, problem) => {
    expect(refusalsOf(() => new HealthMonitor(props))).toEqual([expect.stringContaining(problem)]);
  });
});

test("a duration means the same number of milliseconds when it is read again", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.integer({ min: 0, max: 31_622_400_000 }),
        fc.integer({ min: 0, max: 8_784 }).map((h) => h * 3_600_000),
      ),
      (ms) => {
        expect(parseDurationMs(hclDuration(ms))).toBe(ms);
      },
    ),
  );
});

test("durations read as people write them", () => {
  expect([0, 250, 1_000, 90_000, 3_600_000, 5_400_000].map((ms) => hclDuration(ms))).toEqual([
    "0s",
    "250ms",
    "1s",
    "1m30s",
    "1h",
    "1h30m",
  ]);
});
