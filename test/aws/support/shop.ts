import { mkdirSync, writeFileSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { AwsProvider } from "@cdktf/provider-aws/lib/provider";
import { App, LocalBackend, TerraformStack } from "cdktf";
import { Burst, HealthMonitor, Image, OnPremPool, Site } from "../../../lib";
import { AwsCloud, AwsVpc, HostedZone, Route53Record } from "../../../providers/aws/constructs";
import type { Ground } from "../../support/aws";
import { REGION } from "../../support/aws/moto";

/** What the shop's variable says. */
export interface Shop {
  readonly burst: boolean;
  readonly cloud_members: number;
  readonly weights: Readonly<Record<string, number>>;
  readonly image_digest: null;
  readonly reason: string;
}

export const QUIET: Shop = {
  burst: false,
  cloud_members: 1,
  weights: { onprem: 100 },
  image_digest: null,
  reason: "",
};

export const out = (cloud_members: number): Shop => ({
  ...QUIET,
  burst: true,
  cloud_members,
  weights: { onprem: 60, aws: 40 },
});

/** A disk of which 3 MiB are not zeros. */
export function writeImage(folder: string): string {
  const path = join(folder, "shop.raw");
  writeFileSync(path, Buffer.concat([randomBytes(3 << 20), Buffer.alloc(5 << 20)]));
  return path;
}

/**
 * A burst from a home that Spillway does not launch into AWS, as examples/aws has it.
 * @returns the folder of the stack
 */
export function synthesiseShop(folder: string, ground: Ground, imagePath: string): string {
  mkdirSync(join(folder, "out"), { recursive: true });
  const app = new App({ outdir: join(folder, "out") });
  const stack = new TerraformStack(app, "shop");
  new LocalBackend(stack, { path: "shop.tfstate" });
  new AwsProvider(stack, "aws", { region: REGION });
  const onprem = new Site("onprem", { endpoint: "https://agent.example:7501", address: "198.51.100.10" });
  const monitor = new HealthMonitor({ path: "/healthz" });
  new Burst(stack, "shop", {
    image: new Image({ source: imagePath }),
    onPrem: {
      pool: OnPremPool.fromAttributes(stack, "home", {
        ...{ site: onprem, poolName: "shop", port: 80, members: 8, monitor },
      }),
      memberCapacityRps: 200,
    },
    cloud: new AwsCloud({
      vpc: AwsVpc.fromAttributes({
        vpcId: ground.vpcId,
        memberSubnetIds: [...ground.subnetIds],
        balancerSubnetIds: [...ground.subnetIds],
      }),
      instanceTypes: ["m6i.large", "m5.large"],
      memberPort: 8080,
      tls: "none",
      allowFrom: ["0.0.0.0/0"],
    }),
    preposition: true,
    record: new Route53Record({
      zone: HostedZone.fromAttributes({ zoneId: ground.zoneId, zoneName: ground.zoneName }),
      name: `shop.${ground.zoneName}`,
    }),
    policy: { maxCloudMembers: 12 },
  });
  app.synth();
  return join(folder, "out", "stacks", "shop");
}
