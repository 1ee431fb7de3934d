import { App, LocalBackend, TerraformStack } from "cdktf";
import { join } from "node:path";
import { Burst, HealthMonitor, Image, ImageReplica, OnPremPool, Site } from "spillway";
import type { BurstCloud, GateTuning, SiteProps } from "spillway";
import type { Stage } from "./stage";

export interface DeclareOptions {
  /** What the cloud's members are launched from. @default - the lab's image */
  readonly imagePath?: string;
  /** How the cloud's agent is reached, where it differs. */
  readonly cloudSite?: Partial<SiteProps>;
  readonly gate?: GateTuning;
  readonly cloud?: Partial<BurstCloud>;
}

/** Synthesises the shop of a stage anew, as `examples/shop` has it (with the same addresses) but for what `options` say. */
export function declareShop(stage: Stage, options: DeclareOptions = {}): void {
  const { sites, image, port } = stage.lab.info;
  const app = new App({ outdir: join(stage.dir, "cdktf.out") });
  const stack = new TerraformStack(app, "shop");
  new LocalBackend(stack, { path: "../../../shop.tfstate" });
  const onprem = new Site("onprem", sites.onprem);
  const cloud = new Site("cloud", { ...sites.cloud, ...options.cloudSite });
  const lab = new Image({ source: image!.path });
  const home = new OnPremPool(stack, "home", {
    poolName: "shop",
    replica: new ImageReplica(stack, "home-image", { image: lab, site: onprem }),
    members: 2,
    port,
    monitor: new HealthMonitor({ path: "/healthz", intervalMs: 500 }),
    sessionIdleMs: 5_000,
  });
  new Burst(stack, "shop", {
    image: options.imagePath === undefined ? lab : new Image({ source: options.imagePath }),
    onPrem: { pool: home, memberCapacityRps: 200 },
    cloud: { site: cloud, ...options.cloud },
    record: { name: "shop.example.test", nameServer: onprem, ttlSeconds: 5 },
    gate: { quietPeriodMs: 3_000, ...options.gate },
    policy: { maxCloudMembers: 6 },
  });
  app.synth();
}
