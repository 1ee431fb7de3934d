import { Token } from "cdktf";
import { Burst, HealthMonitor, ImageReplica, OnPremPool, Site } from "../../../lib";
import type { BurstProps } from "../../../lib";
import {
  cloud,
  image,
  monitor,
  newStack,
  notesOf,
  onprem,
  problemsOf,
  refusalsOf,
  resourcesOf,
  synth,
} from "./support";

const tcp = new HealthMonitor({ type: "tcp" });

function declare(overrides: Partial<BurstProps> = {}, id = "shop", stack = newStack()) {
  const replica = new ImageReplica(stack, `${id}-home-image`, { image, site: onprem });
  const home = new OnPremPool(stack, `${id}-home`, {
    poolName: "shop",
    replica,
    members: 2,
    port: 8080,
    monitor,
    sessionIdleMs: 7_000,
    environment: { TIER: "home" },
  });
  const burst = new Burst(stack, id, {
    image,
    onPrem: { pool: home, memberCapacityRps: 40 },
    cloud: { site: cloud },
    record: { name: "shop.example.test", nameServer: onprem, ttlSeconds: 5 },
    ...overrides,
  });
  return { stack, burst, home };
}

test("its ids and addresses are a contract: a change would replace what runs", () => {
  const { stack, burst } = declare();
  expect(burst.node.children.map(({ node }) => node.id)).toEqual([
    "parameters",
    "decision",
    "replica",
    "pool",
    "gate",
    "record",
  ]);
  const { resource, variable, output } = synth(stack);
  expect(
    Object.entries(resource)
      .flatMap(([type, all]) => Object.keys(all).map((id) => `${type}.${id}`))
      .sort(),
  ).toEqual([
    "spillway_gate.shop_gate_EA2DF588",
    "spillway_global_record.shop_record_2997087D",
    "spillway_image_replica.shop-home-image_08B198E2",
    "spillway_image_replica.shop_replica_8BE9EBBC",
    "spillway_pool.shop-home_E3C71F9A",
    "spillway_pool.shop_pool_25222399",
  ]);
  expect(Object.keys(variable)).toEqual(["shop"]);
  expect(Object.keys(output)).toEqual(["shop_decision"]);
});

test("replica, pool and gate are there while it is out, and are created before anything older goes", () => {
  const { stack } = declare();
  const types = ["spillway_image_replica", "spillway_pool", "spillway_gate"];
  for (const type of types) {
    expect(resourcesOf(stack, type)).toContainEqual(
      expect.objectContaining({
        count: "${var.shop.burst ? 1 : 0}",
        lifecycle: { create_before_destroy: true },
      }),
    );
  }
  expect(resourcesOf(stack, "spillway_global_record")[0]).not.toHaveProperty("count");
});

test("the record answers with the sites that have a share, the cloud only behind its gate", () => {
  const { stack } = declare();
  expect(resourcesOf(stack, "spillway_global_record")[0]?.["answers"]).toBe(
    "${[for each in local.shop_record_answers_95CE2494 : each.answer if each.when]}",
  );
  expect(synth(stack).locals).toEqual({
    shop_record_answers_95CE2494: [
      {
        answer: {
          site: "onprem",
          address: "127.0.1.1",
          weight: '${lookup(var.shop.weights, "onprem", 0)}',
          pool: "${spillway_pool.shop-home_E3C71F9A.id}",
        },
        when: '${contains(keys(var.shop.weights), "onprem")}',
      },
      {
        answer: {
          site: "cloud",
          address: "127.0.2.1",
          weight: '${lookup(var.shop.weights, "cloud", 0)}',
          pool: "${one(spillway_pool.shop_pool_25222399[*].id)}",
          gate: "${one(spillway_gate.shop_gate_EA2DF588[*].id)}",
        },
        when: '${var.shop.burst && contains(keys(var.shop.weights), "cloud")}',
      },
    ],
  });
});

test.each<[string, Partial<BurstProps>, readonly string[] | undefined]>([
  [
    "the record's name, as requests carry it",
    { record: { name: "Shop.Example.Test.", nameServer: onprem } },
    ["shop.example.test"],
  ],
  [
    "what it is told, such as an alias too",
    { cloud: { site: cloud, hosts: ["shop.example.test", "www.example.test"] } },
    ["shop.example.test", "www.example.test"],
  ],
  ["all, if told so", { cloud: { site: cloud, hosts: [] } }, []],
  [
    "no host where connections are forwarded",
    { cloud: { site: cloud, mode: "tcp", monitor: tcp } },
    undefined,
  ],
])("the cloud pool takes for users who ask for %s", (_, overrides, hosts) => {
  const { stack } = declare(overrides);
  const found = resourcesOf(stack, "spillway_pool") as { site: string; hosts?: readonly string[] }[];
  expect(found.find(({ site }) => site === "cloud")?.hosts).toEqual(hosts);
  expect(found.find(({ site }) => site === "onprem")?.hosts).toBeUndefined();
});

test("the cloud pool is like the one at home unless told otherwise, with members and image from the parameters", () => {
  const { stack } = declare({
    cloud: { site: cloud, environment: { TIER: "cloud" }, drainTimeoutMs: 5_000, transferTimeoutMs: 60_000 },
    gate: { quietPeriodMs: 2_000, monitor: new HealthMonitor({ path: "/ready" }) },
  });
  expect(resourcesOf(stack, "spillway_pool")).toContainEqual(
    expect.objectContaining({
      site: "cloud",
      name: "shop",
      owner: "shop/shop/pool",
      listen: { address: "127.0.2.1", port: 8080 },
      monitor: { path: "/healthz" },
      environment: { TIER: "cloud" },
      session_idle: "7s",
      hosts: ["shop.example.test"],
      drain_timeout: "5s",
      members: "${var.shop.cloud_members}",
      image_digest:
        "${coalesce(var.shop.image_digest, one(spillway_image_replica.shop_replica_8BE9EBBC[*].digest))}",
    }),
  );
  expect(resourcesOf(stack, "spillway_image_replica")).toContainEqual(
    expect.objectContaining({ site: "cloud", timeouts: { create: "1m" } }),
  );
  expect(resourcesOf(stack, "spillway_gate")).toMatchObject([
    { quiet_period: "2s", record_ttl: 5, monitor: { path: "/ready" } },
  ]);
});

test("an image that is to be there beforehand does not wait for the burst", () => {
  const { stack } = declare({ preposition: true });
  const replica = resourcesOf(stack, "spillway_image_replica").find(({ site }) => site === "cloud");
  expect(replica).not.toHaveProperty("count");
  expect(resourcesOf(stack, "spillway_pool")).toContainEqual(
    expect.objectContaining({
      count: "${var.shop.burst ? 1 : 0}",
      image_digest: "${coalesce(var.shop.image_digest, spillway_image_replica.shop_replica_8BE9EBBC.digest)}",
    }),
  );
});

test("an image that is to be kept near is told to the hook, and still moves with the burst", () => {
  const preposition = {
    everyMs: 21_600_000,
    windows: ["22:00-06:00"],
    cap: undefined,
    seed: { storagePricePerGbMonth: 0.08 },
  };
  const { stack } = declare({ preposition });
  const replica = resourcesOf(stack, "spillway_image_replica").find(({ site }) => site === "cloud");
  expect(replica).toHaveProperty("count", "${var.shop.burst ? 1 : 0}");
  expect(notesOf(stack).spillway?.bursts["shop"]).toMatchObject({
    prePosition: {
      source: image.source,
      everyMs: 21_600_000,
      windows: ["22:00-06:00"],
      seed: { storagePricePerGbMonth: 0.08 },
    },
  });
  expect(JSON.stringify(notesOf(stack))).not.toContain('"cap"');
});

test("everything that is wrong with keeping an image near is told at once", () => {
  const wrong = {
    everyMs: 0.5,
    cap: "20M",
    windows: ["at night"],
    timeZone: "Mars/Base",
    seed: { storagePricePerGbMonth: -1 },
  };
  expect(refusalsOf(() => declare({ preposition: wrong }))).toEqual([
    expect.stringMatching(/^`preposition.everyMs` must be .*, got 0.5$/),
    expect.stringMatching(/^`preposition.cap`: the rate "20M" does not say/),
    expect.stringMatching(/^`preposition.windows`: "at night" is not a window/),
    expect.stringMatching(/^`preposition.timeZone` must be a time zone, got "Mars\/Base"$/),
    expect.stringMatching(/^`preposition.seed.storagePricePerGbMonth` must be .*, got -1$/),
  ]);
});

test("the variable is quiet by default and the output repeats the decision", () => {
  const { stack } = declare({ policy: { minCloudMembers: 2 } });
  expect(synth(stack).variable["shop"]).toMatchObject({
    nullable: false,
    default: {
      burst: false,
      cloud_members: 2,
      weights: { onprem: 100 },
      image_digest: null,
      reason: "quiet",
    },
  });
  expect(synth(stack).output["shop_decision"]?.["value"]).toEqual({
    burst: "${var.shop.burst}",
    weights: "${var.shop.weights}",
    reason: "${var.shop.reason}",
  });
});

test("what the hook must know stands under the root comment key", () => {
  const site = new Site("cloud", {
    endpoint: "https://agent.cloud.example:7501",
    address: "127.0.2.1",
    tokenEnv: "CLOUD_TOKEN",
  });
  const { stack } = declare({
    cloud: { site, memberCapacityRps: 80 },
    policy: { burstAbove: 0.9, homeBelow: undefined },
  });
  const root = notesOf(stack);
  expect(root).toHaveProperty("metadata.stackName", "shop");
  expect(root.spillway?.bursts["shop"]).toEqual({
    version: 1,
    name: "shop",
    variable: "shop",
    parametersFile: "desired/shop.tfvars.json",
    onPrem: { site: "onprem", pool: "shop", memberCapacityRps: 40, members: 2 },
    cloud: { site: "cloud", pool: "shop", memberCapacityRps: 80, members: 1 },
    sites: {
      cloud: { endpoint: "https://agent.cloud.example:7501", tokenEnv: "CLOUD_TOKEN" },
      onprem: { endpoint: "http://127.0.0.1:7501" },
    },
    record: { name: "shop.example.test", ttlSeconds: 5, nameServerSite: "onprem" },
    addresses: {
      replica: "spillway_image_replica.shop_replica_8BE9EBBC",
      pool: "spillway_pool.shop_pool_25222399",
      gate: "spillway_gate.shop_gate_EA2DF588",
      record: "spillway_global_record.shop_record_2997087D",
    },
    policy: {
      burstAbove: 0.9,
      homeBelow: 0.5,
      confirmations: 3,
      homeAfterMs: 300_000,
      minimumStayMs: 300_000,
      targetUtilisation: 0.7,
      minCloudMembers: 1,
      maxCloudMembers: 10,
      launchEstimateMs: 30_000,
      intervalMs: 1_000,
    },
  });
});

test("two bursts live in one stack, each with its variable and its manifest", () => {
  const { stack } = declare();
  declare({ record: { name: "till.example.test", nameServer: onprem } }, "till-2", stack);
  expect(Object.keys(synth(stack).variable)).toEqual(["shop", "till_2"]);
  expect(Object.keys(notesOf(stack).spillway?.bursts ?? {})).toEqual(["shop", "till-2"]);
  expect(refusalsOf(() => declare({ burstName: "shop" }, "again", stack))).toEqual([
    '`burstName` must be unique in its stack, got "shop", which shop/shop has',
  ]);
});

test("a name that Terraform keeps for itself gets another variable", () => {
  expect(Object.keys(synth(declare({}, "source").stack).variable)).toEqual(["source_burst"]);
});

test("sites keep their names in weights, whatever CDKTF does to keys", () => {
  const rack = new Site("rented-rack", { endpoint: "https://a:1", address: "127.0.3.1" });
  const stack = newStack();
  const home = OnPremPool.fromAttributes(stack, "home", {
    site: rack,
    poolName: "shop",
    port: 80,
    members: 2,
  });
  declare({ onPrem: { pool: home, memberCapacityRps: 1 } }, "shop", stack);
  expect(synth(stack).variable["shop"]).toHaveProperty("default.weights", { "rented-rack": 100 });
});

describe("refuses, with its path, everything that is wrong at once", () => {
  test("across its parts", () => {
    const problems = problemsOf(() =>
      declare({
        onPrem: { pool: declare().home, memberCapacityRps: 0 },
        cloud: { site: cloud, port: 9090, maxConnections: -1 },
        record: { name: "shop", nameServer: onprem, ttlSeconds: -5 },
        gate: { successes: 0 },
        policy: { burstAbove: 0.4, homeBelow: 0.5, minCloudMembers: 5, maxCloudMembers: 2 },
      }),
    );
    expect(problems.map(({ problem }) => problem)).toEqual([
      "`cloud.port` must be the port of the pool at home (8080), got 9090",
      "`onPrem.memberCapacityRps` must be above 0, got 0",
      "`cloud.maxConnections` must be a whole number of at least 0, got -1",
      "`gate.successes` must be a whole number of at least 1, got 0",
      '`record.name` must be a full domain name, got "shop"',
      "`record.ttlSeconds` must be a whole number from 1 to 86400, got -5",
      "`policy.homeBelow` must be below `burstAbove`, or the burst would come and go, got 0.5",
      "`policy.maxCloudMembers` must be at least `minCloudMembers`, got 2",
    ]);
    expect(problems.every(({ place, mend }) => place === "shop/shop" && mend.length > 10)).toBe(true);
  });

  test.each<[string, () => unknown, string]>([
    [
      "home as the cloud",
      () => declare({ cloud: { site: onprem } }),
      '`cloud.site` must be another site than home, got "onprem" for both',
    ],
    [
      "a host name beside an address",
      () =>
        declare({
          cloud: {
            site: new Site("cdn", { endpoint: "https://a:1", address: "a.cdn.example" }),
            listenAddress: "0.0.0.0",
          },
        }),
      "`answers` must be of one record type, got A (127.0.1.1 at onprem) beside CNAME (a.cdn.example at cdn)",
    ],
    ["a bad name", () => declare({ burstName: "My Shop" }), "`burstName` must be 1 to 40 lower-case letters"],
    [
      "no confirmations",
      () => declare({ policy: { confirmations: 0 } }),
      "`policy.confirmations` must be a whole number of at least 1, got 0",
    ],
    [
      "no members",
      () => declare({ policy: { minCloudMembers: 0 } }),
      "`policy.minCloudMembers` must be a whole number of at least 1, got 0",
    ],
    [
      "a load above all",
      () => declare({ policy: { targetUtilisation: 1.2 } }),
      "`policy.targetUtilisation` must be above 0 and at most 1, got 1.2",
    ],
    [
      "a threshold that is none",
      () => declare({ policy: { burstAbove: Number.NaN } }),
      "`policy.burstAbove` must be above 0 and at most 2, got null",
    ],
  ])("%s", (_, act, problem) => {
    expect(refusalsOf(act)).toContainEqual(expect.stringContaining(problem));
  });

  test("members at home that only Terraform knows", () => {
    const stack = newStack();
    const replica = new ImageReplica(stack, "i", { image, site: onprem });
    const pool = new OnPremPool(stack, "h", { replica, members: Token.asNumber("${var.n}"), port: 8080 });
    expect(refusalsOf(() => declare({ onPrem: { pool, memberCapacityRps: 1 } }, "shop", stack))).toEqual([
      "`onPrem.pool` has a number of members that is not known before apply",
    ]);
  });
});
