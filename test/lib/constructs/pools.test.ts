import { App, TerraformStack, Token, ref } from "cdktf";
import {
  CloudPool,
  HealthMonitor,
  Image,
  ImageReplica,
  OnPremPool,
  Site,
  SpillwayProvider,
} from "../../../lib";
import type { PoolProps } from "../../../lib";
import {
  DIGEST,
  cloud,
  image,
  monitor,
  newStack,
  onprem,
  problemsOf,
  refusalsOf,
  resourcesOf,
  synth,
} from "./support";

const replicaAt = (stack: TerraformStack, site = cloud, id = "image") =>
  new ImageReplica(stack, id, { image, site });

describe("the provider", () => {
  test("is there by itself and knows the sites that the stack uses, each once", () => {
    const stack = newStack();
    replicaAt(stack, onprem, "a");
    replicaAt(stack, cloud, "b");
    replicaAt(stack, cloud, "c");
    expect(synth(stack).provider.spillway).toEqual([
      {
        sites: {
          cloud: { endpoint: "http://127.0.0.1:7502" },
          onprem: { endpoint: "http://127.0.0.1:7501" },
        },
      },
    ]);
  });

  test("can be declared to name further sites, and is then the one that all use", () => {
    const stack = newStack();
    new SpillwayProvider(stack, "provider", { sites: [onprem] });
    replicaAt(stack, cloud);
    expect(Object.keys(synth(stack).provider.spillway[0]?.sites ?? {})).toEqual(["cloud", "onprem"]);
    expect(synth(stack).provider.spillway).toHaveLength(1);
  });

  test("keeps the names of sites as they are, and files relative to where Terraform runs", () => {
    const stack = new TerraformStack(new App({ outdir: "cdktf.out" }), "shop");
    const rack = new Site("rented-rack", {
      endpoint: "https://a:1",
      address: "192.0.2.1",
      tokenFile: "secrets/rack",
      caFile: "/ca.pem",
    });
    replicaAt(stack, rack);
    expect(synth(stack).provider.spillway[0]?.sites).toEqual({
      "rented-rack": { endpoint: "https://a:1", token_file: "../../../secrets/rack", ca_file: "/ca.pem" },
    });
  });

  test("refuses two places under one name, and a second provider", () => {
    const stack = newStack();
    replicaAt(stack, cloud);
    const other = new Site("cloud", { endpoint: "https://other:1", address: "192.0.2.2" });
    expect(refusalsOf(() => replicaAt(stack, other, "other"))).toEqual([
      "`sites.cloud` means two places: http://127.0.0.1:7502 and https://other:1",
    ]);
    expect(refusalsOf(() => new SpillwayProvider(stack, "second"))).toEqual([
      "`SpillwayProvider` is in this stack already, at shop/spillway",
    ]);
  });
});

describe("an ImageReplica", () => {
  test("is a resource that is created before an older one goes", () => {
    const stack = newStack();
    new ImageReplica(stack, "image", {
      image: new Image({ source: "/shop.tar", digest: DIGEST }),
      site: cloud,
      retain: false,
      transferTimeoutMs: 3_600_000,
    });
    expect(resourcesOf(stack, "spillway_image_replica")).toEqual([
      {
        site: "cloud",
        source: "/shop.tar",
        digest: DIGEST,
        retain: false,
        timeouts: { create: "1h" },
        lifecycle: { create_before_destroy: true },
      },
    ]);
  });

  test("names a relative source from where Terraform runs, so that it is the same on every machine", () => {
    const stack = new TerraformStack(new App({ outdir: "cdktf.out" }), "shop");
    new ImageReplica(stack, "image", { image: new Image({ source: "images/shop.tar" }), site: cloud });
    expect(resourcesOf(stack, "spillway_image_replica")).toMatchObject([
      { source: "../../../images/shop.tar" },
    ]);
  });

  test("that another stack looks after is its digest", () => {
    const stack = newStack();
    const replica = ImageReplica.fromDigest(stack, "seed", { site: cloud, digest: DIGEST });
    new CloudPool(stack, "shop", { replica, members: 1, port: 80 });
    expect(resourcesOf(stack, "spillway_pool")).toMatchObject([{ image_digest: DIGEST }]);
    expect(synth(stack).resource["spillway_image_replica"]).toBeUndefined();
    expect(
      refusalsOf(() => ImageReplica.fromDigest(stack, "bad", { site: cloud, digest: "latest" })),
    ).toHaveLength(1);
  });
});

describe("pools", () => {
  test("render what was given and leave the rest to the provider", () => {
    const stack = newStack();
    new CloudPool(stack, "shop", {
      replica: replicaAt(stack),
      members: 3,
      port: 8080,
      monitor,
      affinity: "none",
      maxConnections: 8,
      sessionIdleMs: 15_000,
      hosts: ["shop.example.test", Token.asString(ref("var.host"))],
      environment: { LOG_level: "info" },
      launchTimeoutMs: 60_000,
      drainTimeoutMs: 90_000,
    });
    expect(resourcesOf(stack, "spillway_pool")).toEqual([
      {
        site: "cloud",
        name: "shop",
        owner: "shop/shop",
        image_digest: expect.stringMatching(/^\$\{spillway_image_replica\.image_\w+\.digest\}$/),
        members: 3,
        listen: { address: "127.0.2.1", port: 8080 },
        monitor: { path: "/healthz" },
        affinity: "none",
        max_connections: 8,
        session_idle: "15s",
        hosts: ["shop.example.test", "${var.host}"],
        environment: { LOG_level: "info" },
        launch_timeout: "1m",
        drain_timeout: "1m30s",
        lifecycle: { create_before_destroy: true },
      },
    ]);
  });

  test("a pool at home is replaced in Terraform's usual order: two cannot listen at one port", () => {
    const stack = newStack();
    new OnPremPool(stack, "shop", { replica: replicaAt(stack, onprem), members: 2, port: 8080 });
    expect(resourcesOf(stack, "spillway_pool")[0]).not.toHaveProperty("lifecycle");
  });

  test("a pool at home that another looks after is declared by its attributes and not managed", () => {
    const stack = newStack();
    const home = OnPremPool.fromAttributes(stack, "home", {
      site: onprem,
      poolName: "legacy",
      port: 80,
      members: 4,
    });
    expect(home.poolId).toBe("onprem/legacy");
    expect(Object.keys(synth(stack).provider.spillway[0]?.sites ?? {})).toEqual(["onprem"]);
    expect(
      refusalsOf(() =>
        OnPremPool.fromAttributes(stack, "bad", { site: onprem, poolName: "x", port: 0, members: 0 }),
      ),
    ).toHaveLength(2);
  });

  test.each<[Partial<PoolProps>, string]>([
    [{ members: 0 }, "`members` must be a whole number of at least 1, got 0"],
    [{ members: Number.NaN }, "`members` must be a whole number of at least 1, got NaN"],
    [{ port: 70_000 }, "`port` must be a whole number from 1 to 65535, got 70000"],
    [{ poolName: "Shop!" }, "`poolName` must be 1 to 40 lower-case letters"],
    [{ listenAddress: "shop.example" }, '`listenAddress` must be an IP address, got "shop.example"'],
    [{ maxConnections: -1 }, "`maxConnections` must be a whole number of at least 0, got -1"],
    [{ sessionIdleMs: 0 }, "`sessionIdleMs` must be a whole number of milliseconds"],
    [{ environment: { "A-B": "x" } }, '`environment` must not hold "A-B"'],
    [{ hosts: ["shop.example.test:80"] }, '`hosts` must not hold "shop.example.test:80"'],
    [{ mode: "tcp", hosts: ["shop.example.test"] }, "`hosts` is given for a pool that forwards connections"],
    [{ environment: { PORT: "1" } }, '`environment` must not hold "PORT"'],
    [{ mode: "tcp", affinity: "cookie" }, "`affinity` is cookie at a pool that forwards connections"],
    [{ mode: "tcp", monitor: new HealthMonitor({ type: "http" }) }, "`monitor` asks over HTTP"],
  ])("refuse %p, at home and away", (bad, problem) => {
    const stack = newStack();
    const props: PoolProps = { replica: replicaAt(stack), members: 1, port: 80, ...bad };
    for (const Pool of [OnPremPool, CloudPool]) {
      const problems = problemsOf(() => new Pool(stack, Pool.name, { poolName: "shop", ...props }));
      expect(problems).toEqual([
        {
          place: `shop/${Pool.name}`,
          problem: expect.stringContaining(problem),
          mend: expect.stringMatching(/\.$/),
          attribute: expect.anything(),
        },
      ]);
    }
  });

  test("a site that users reach by host name must be told where its local balancer listens", () => {
    const stack = newStack();
    const cdn = new Site("cdn", { endpoint: "https://a:1", address: "shop.cdn.example" });
    const replica = replicaAt(stack, cdn);
    expect(refusalsOf(() => new CloudPool(stack, "a", { replica, members: 1, port: 80 }))).toEqual([
      '`listenAddress` must be an IP address, got "shop.cdn.example", the site\'s address',
    ]);
    expect(
      refusalsOf(
        () => new CloudPool(stack, "b", { replica, members: 1, port: 80, listenAddress: "0.0.0.0" }),
      ),
    ).toEqual([]);
  });

  test("a token is not compared", () => {
    const stack = newStack();
    const members = Token.asNumber("${var.members}");
    new CloudPool(stack, "shop", {
      replica: replicaAt(stack),
      members,
      port: 80,
      drainTimeoutMs: Token.asNumber("${var.ms}"),
    });
    expect(resourcesOf(stack, "spillway_pool")).toMatchObject([
      { members: "${var.members}", drain_timeout: "${var.ms}ms" },
    ]);
  });
});
