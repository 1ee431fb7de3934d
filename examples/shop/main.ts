import { App, LocalBackend, TerraformStack } from "cdktf";
import { Burst, HealthMonitor, Image, ImageReplica, OnPremPool, Site } from "spillway";
import { findLab } from "./lab";

const lab = findLab();
const app = new App();
const stack = new TerraformStack(app, "shop");
new LocalBackend(stack, { path: "../../../shop.tfstate" });

// Where it runs. Tokens stay in files or in the environment.
const onprem = new Site("onprem", lab.sites.onprem);
const cloud = new Site("cloud", lab.sites.cloud);

// What runs: one image, the same at both sites.
const image = new Image({ source: lab.image.path });
const monitor = new HealthMonitor({ path: "/healthz", intervalMs: 500 });

// Home: two members that are always there.
const home = new OnPremPool(stack, "home", {
  poolName: "shop",
  replica: new ImageReplica(stack, "home-image", { image, site: onprem }),
  members: 2,
  port: lab.port,
  monitor,
  // Short, so that trying it out is no long wait. A real shop gives a silent user minutes.
  sessionIdleMs: 5_000,
});

// The overflow, and its way home.
new Burst(stack, "shop", {
  image,
  onPrem: { pool: home, memberCapacityRps: 200 },
  cloud: { site: cloud },
  record: { name: "shop.example.test", nameServer: onprem, ttlSeconds: 5 },
  gate: { quietPeriodMs: 3_000 },
  policy: { maxCloudMembers: 6, ...lab.policy },
});

app.synth();
