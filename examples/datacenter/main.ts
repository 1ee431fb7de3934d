import { App, LocalBackend, TerraformStack } from "cdktf";
import { Burst, HealthMonitor, Image, ImageReplica, OnPremPool, Site } from "spillway";
import { findDatacenter } from "./find-datacenter";

const { sites, imagePath, zone, port } = findDatacenter();
const app = new App();
const stack = new TerraformStack(app, "datacenter");
new LocalBackend(stack, { path: "../../../datacenter.tfstate" });

// Each site has an agent, which drives the HAProxy there. The one on premises writes to PowerDNS, too.
const onprem = new Site("onprem", sites.onprem);
const cloud = new Site("cloud", sites.cloud);

// What runs: one image, the same at both sites.
const image = new Image({ source: imagePath });
const monitor = new HealthMonitor({ path: "/healthz", intervalMs: 500 });

// How users call it. `www` was in the zone before, an alias of the name that is balanced: who comes by it is a user as well.
const name = `shop.${zone}`;
const hosts = [name, `www.${zone}`];

// On premises: two members that are always there. Each works on four requests at a time; HAProxy queues the rest.
const home = new OnPremPool(stack, "home", {
  poolName: "shop",
  replica: new ImageReplica(stack, "home-image", { image, site: onprem }),
  members: 2,
  port,
  monitor,
  hosts,
  maxConnections: 4,
  sessionIdleMs: 5_000,
  environment: { SHOP_TIER: "onprem" },
});

// The overflow: like the pool on premises, where nothing else is said. Its image leaves room on the WAN for everybody else.
new Burst(stack, "shop", {
  image,
  onPrem: { pool: home, memberCapacityRps: 200 },
  cloud: {
    site: cloud,
    bandwidth: { cap: "80Mbit" },
    environment: { SHOP_TIER: "cloud" },
  },
  record: { name, nameServer: onprem, ttlSeconds: 5 },
  // From outside, over the WAN: slower than the monitor beside the members.
  gate: {
    monitor: new HealthMonitor({ path: "/healthz", intervalMs: 1_000 }),
    successes: 3,
    quietPeriodMs: 3_000,
  },
  policy: { burstAbove: 0.8, homeBelow: 0.4, maxCloudMembers: 6 },
});

app.synth();
