import { App, TerraformStack, Token } from "cdktf";
import { CloudPool, Gate, GlobalRecord, HealthMonitor, ImageReplica, OnPremPool, Site } from "../../../lib";
import { cloud, image, monitor, newStack, onprem, refusalsOf, resourcesOf, synth } from "./support";

const replicaAt = (stack: TerraformStack, site = cloud, id = "image") =>
  new ImageReplica(stack, id, { image, site });

describe("a Gate", () => {
  test("probes as the pool does, unless told otherwise", () => {
    const stack = newStack();
    const pool = new CloudPool(stack, "shop", { replica: replicaAt(stack), members: 2, port: 80, monitor });
    new Gate(stack, "gate", { pool, recordTtlSeconds: 5, openTimeoutMs: 60_000 });
    new Gate(stack, "other", {
      pool,
      monitor: new HealthMonitor({ path: "/deep" }),
      successes: 5,
      minMembers: 1,
      quietPeriodMs: 20_000,
      onDeadline: "force",
      closeTimeoutMs: 7_200_000,
    });
    const pooled = {
      pool: expect.stringMatching(/^\$\{spillway_pool\.shop_\w+\.id\}$/),
      lifecycle: { create_before_destroy: true },
    };
    expect(resourcesOf(stack, "spillway_gate")).toEqual([
      { ...pooled, monitor: { path: "/healthz" }, record_ttl: 5, timeouts: { create: "1m" } },
      {
        ...pooled,
        monitor: { path: "/deep" },
        successes: 5,
        min_members: 1,
        quiet_period: "20s",
        on_deadline: "force",
        timeouts: { delete: "2h" },
      },
    ]);
  });

  test("refuses what would never open, and times that are none, all at once", () => {
    const stack = newStack();
    const pool = new CloudPool(stack, "shop", { replica: replicaAt(stack), members: 2, port: 80 });
    expect(
      refusalsOf(
        () =>
          new Gate(stack, "gate", {
            pool,
            successes: 0,
            minMembers: 3,
            quietPeriodMs: -1,
            recordTtlSeconds: 0,
          }),
      ),
    ).toEqual([
      "`successes` must be a whole number of at least 1, got 0",
      "`minMembers` must be at most the pool's members (2), got 3",
      expect.stringContaining(
        "`quietPeriodMs` must be a whole number of milliseconds, at least 1 and at most a year, got -1",
      ),
      "`recordTtlSeconds` must be a whole number from 1 to 86400, got 0",
    ]);
  });
});

describe("a GlobalRecord", () => {
  const chain = (stack: TerraformStack) => {
    const home = new OnPremPool(stack, "home", {
      replica: replicaAt(stack, onprem, "home-image"),
      members: 2,
      port: 80,
    });
    const pool = new CloudPool(stack, "away", { replica: replicaAt(stack), members: 2, port: 80 });
    return { home, pool, gate: new Gate(stack, "gate", { pool }) };
  };
  const name = "shop.example.test";

  test("answers with pools and with sites behind their gates", () => {
    const stack = newStack();
    const { home, gate } = chain(stack);
    new GlobalRecord(stack, "record", {
      name,
      nameServer: onprem,
      ttlSeconds: 5,
      answers: [
        { pool: home, weight: 60 },
        { gate, weight: 40 },
      ],
      ramp: { stepsPercent: [10, 100], intervalMs: 30_000, abortAboveFailed: 1 },
    });
    expect(resourcesOf(stack, "spillway_global_record")).toEqual([
      {
        name,
        name_server: "onprem",
        owner: "shop/record",
        ttl: 5,
        answers: [
          {
            site: "onprem",
            address: "127.0.1.1",
            weight: 60,
            pool: expect.stringMatching(/^\$\{spillway_pool\.home_/),
          },
          {
            site: "cloud",
            address: "127.0.2.1",
            weight: 40,
            pool: expect.stringMatching(/^\$\{spillway_pool\.away_/),
            gate: expect.stringMatching(/^\$\{spillway_gate\.gate_/),
          },
        ],
        ramp: { steps: [10, 100], interval: "30s", abort_above_failed: 1 },
      },
    ]);
  });

  test("refuses a name that another record of the program declares at the same name server, in whichever stack", () => {
    const app = new App();
    const [one, two] = [newStack("one", app), newStack("two", app)];
    const answers = [{ site: onprem, weight: 100 }];
    new GlobalRecord(one, "record", { name, nameServer: onprem, answers });
    new GlobalRecord(two, "elsewhere", { name, nameServer: cloud, answers });
    expect(
      refusalsOf(
        () => new GlobalRecord(two, "again", { name: `${name.toUpperCase()}.`, nameServer: onprem, answers }),
      ),
    ).toEqual([
      `\`name\` must be declared once, got "${name.toUpperCase()}." at "onprem", which one/record declares too`,
    ]);
  });

  test("refuses answers that cannot be, all at once", () => {
    const stack = newStack();
    const { home, gate } = chain(stack);
    const cdn = new Site("cdn", { endpoint: "https://a:1", address: "shop.cdn.example" });
    const record = (
      answers: ConstructorParameters<typeof GlobalRecord>[2]["answers"],
      id: string,
      more = {},
    ) => refusalsOf(() => new GlobalRecord(stack, id, { name, nameServer: onprem, answers, ...more }));
    expect(record([], "none")).toEqual(["`answers` is empty"]);
    expect(
      record(
        [
          { pool: home, weight: 60 },
          { gate, weight: 30 },
        ],
        "sum",
      ),
    ).toEqual(["`answers` must have weights that add up to 100, got 90"]);
    expect(
      record(
        [
          { pool: home, weight: 100 },
          { gate, weight: 0 },
        ],
        "zero",
      ),
    ).toEqual(["`answers.1.weight` must be a whole number from 1 to 100, got 0"]);
    expect(
      record(
        [
          { pool: home, weight: 50 },
          { site: onprem, weight: 50 },
        ],
        "twice",
      ),
    ).toEqual(['`answers` has site "onprem" more than once']);
    expect(
      record(
        [
          { pool: home, weight: 50 },
          { site: cdn, weight: 50 },
        ],
        "kinds",
      ),
    ).toEqual([
      "`answers` must be of one record type, got A (127.0.1.1 at onprem) beside CNAME (shop.cdn.example at cdn)",
    ]);
    const twin = new Site("twin", { endpoint: "https://a:1", address: onprem.address });
    expect(
      record(
        [
          { pool: home, weight: 50 },
          { site: twin, weight: 50 },
        ],
        "shared",
      ),
    ).toEqual(['`answers` has 127.0.1.1 for another site than "twin" too']);
    expect(record([{ weight: 100 }], "nowhere")).toEqual(["`answers.0` names no site"]);
    expect(record([{ gate, pool: home, weight: 100 }], "mixed")).toEqual([
      "`answers.0` names a gate, a pool and a site that do not belong together",
    ]);
    expect(
      record([{ pool: home, weight: 100 }], "tuning", {
        name: "shop",
        ttlSeconds: 0,
        ramp: { stepsPercent: [50, 10], intervalMs: 0, abortAboveFailed: -1 },
      }),
    ).toEqual([
      '`name` must be a full domain name, got "shop"',
      "`ttlSeconds` must be a whole number from 1 to 86400, got 0",
      "`ramp.stepsPercent` must rise, from above 0 to at most 100, got [50, 10]",
      expect.stringContaining("`ramp.intervalMs`"),
      "`ramp.abortAboveFailed` must be at least 0, got -1",
    ]);
  });
});

test("a condition on the replica carries along the chain, to the answer", () => {
  const stack = newStack();
  const replica = new ImageReplica(stack, "image", { image, site: cloud, when: "${var.out}" });
  const pool = new CloudPool(stack, "pool", { replica, members: 1, port: 80 });
  const gate = new Gate(stack, "gate", { pool });
  new GlobalRecord(stack, "record", {
    name: "shop.example.test",
    nameServer: onprem,
    answers: [
      { site: onprem, weight: Token.asNumber("${var.out ? 60 : 100}") },
      { gate, weight: 40 },
    ],
  });
  for (const type of ["spillway_image_replica", "spillway_pool", "spillway_gate"]) {
    expect(resourcesOf(stack, type)).toMatchObject([
      { count: "${var.out ? 1 : 0}", lifecycle: { create_before_destroy: true } },
    ]);
  }
  expect(resourcesOf(stack, "spillway_gate")).toMatchObject([
    { pool: expect.stringMatching(/^\$\{one\(spillway_pool\.pool_\w+\[\*\]\.id\)\}$/) },
  ]);
  expect(resourcesOf(stack, "spillway_global_record")[0]?.["answers"]).toMatch(
    /^\$\{\[for each in local\.record_answers_\w+ : each\.answer if each\.when\]\}$/,
  );
  const gateId = expect.stringMatching(/^\$\{one\(spillway_gate\.gate_\w+\[\*\]\.id\)\}$/) as unknown;
  expect(Object.values(synth(stack).locals)).toMatchObject([
    [
      { answer: { site: "onprem", weight: "${var.out ? 60 : 100}" }, when: true },
      { answer: { site: "cloud", weight: 40, gate: gateId }, when: "${var.out}" },
    ],
  ]);
});

test("what the constructs do not offer can be set on the generated class", () => {
  const stack = newStack();
  const pool = new CloudPool(stack, "shop", { replica: replicaAt(stack), members: 1, port: 80 });
  pool.resource.putTimeouts({ delete: "3h" });
  expect(resourcesOf(stack, "spillway_pool")).toMatchObject([{ timeouts: { delete: "3h" } }]);
});
