import { AwsProvider } from "@cdktf/provider-aws/lib/provider";
import { HealthMonitor, Image, OnPremPool, Site } from "../../../../lib";
import { Burst } from "../../../../lib/constructs";
import { AwsCloud, AwsVpc, HostedZone, Route53Record } from "../../../../providers/aws/constructs";
import type { AwsCloudProps, Route53RecordProps } from "../../../../providers/aws/constructs";
import { newStack } from "../../../lib/constructs/support";

export const vpc = AwsVpc.fromAttributes({
  vpcId: "vpc-1",
  memberSubnetIds: ["subnet-1", "subnet-2"],
  balancerSubnetIds: ["subnet-3", "subnet-4"],
});
export const zone = HostedZone.fromAttributes({ zoneId: "Z1", zoneName: "example.com" });
export const certificateArn = "arn:aws:acm:eu-central-1:111122223333:certificate/1";
export const onprem = new Site("onprem", {
  endpoint: "https://agent.example:7501",
  address: "198.51.100.10",
});
export const image = new Image({ source: "/images/shop.qcow2" });

export const POOL = {
  vpc,
  instanceTypes: ["m6i.large", "m5.large"],
  tls: { certificateArn },
  allowFrom: ["203.0.113.0/24"],
} as const;

/** A stack with AWS's provider. */
export function awsStack(region = "eu-central-1") {
  const stack = newStack();
  new AwsProvider(stack, "aws", { region });
  return stack;
}

/** A burst of a home with eight members into AWS. */
export function awsBurst(
  cloud: Partial<AwsCloudProps> = {},
  record: Partial<Route53RecordProps> = {},
  stack = awsStack(),
) {
  const home = OnPremPool.fromAttributes(stack, "home", {
    site: onprem,
    poolName: "shop",
    port: 443,
    members: 8,
    monitor: new HealthMonitor({ path: "/healthz", intervalMs: 500 }),
  });
  const burst = new Burst(stack, "shop", {
    image,
    onPrem: { pool: home, memberCapacityRps: 200 },
    cloud: new AwsCloud({ ...POOL, memberPort: 8080, ...cloud }),
    record: new Route53Record({ zone, name: "shop.example.com", ...record }),
  });
  return { stack, burst };
}
