/** The burst of the bench as a user declares it. BENCH_BURST names a file with what of it depends on the lab and the case. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const { App, LocalBackend, TerraformStack } = require("cdktf");
const { Burst, HealthMonitor, Image, ImageReplica, OnPremPool, Site } = require("spillway");

const { sites, imagePath, name, port, ttlSeconds, homeRps, maxConnections, policy, statePath } = JSON.parse(
  readFileSync(process.env.BENCH_BURST, "utf8"),
);

const app = new App();
const stack = new TerraformStack(app, "burst");
new LocalBackend(stack, { path: statePath });
const onprem = new Site("onprem", sites.onprem);
const cloud = new Site("cloud", sites.cloud);
const image = new Image({ source: imagePath });
const monitor = new HealthMonitor({ path: "/healthz", intervalMs: 500, rise: 2 });

const home = new OnPremPool(stack, "home", {
  poolName: "shop",
  replica: new ImageReplica(stack, "home-image", { image, site: onprem }),
  members: 2,
  port,
  monitor,
  maxConnections,
  hosts: [name],
  // Users of the bench ask every 4 s, at most every 8.
  sessionIdleMs: 5_000,
});

new Burst(stack, "shop", {
  image,
  onPrem: { pool: home, memberCapacityRps: homeRps / 2 },
  cloud: { site: cloud },
  preposition: true,
  record: { name, nameServer: onprem, ttlSeconds },
  gate: {
    monitor: new HealthMonitor({ path: "/healthz", intervalMs: 300 }),
    successes: 3,
    quietPeriodMs: 4_000,
  },
  policy,
});

app.synth();
