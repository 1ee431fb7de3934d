import { AwsProvider } from "@cdktf/provider-aws/lib/provider";
import { App, LocalBackend, TerraformStack } from "cdktf";
import { Burst, HealthMonitor, Image, OnPremPool, Site } from "spillway";
import { AwsCloud, AwsVpc, HostedZone, Route53Record } from "spillway/aws";

const app = new App();
const stack = new TerraformStack(app, "shop");
new LocalBackend(stack, { path: "../../../shop.tfstate" });
new AwsProvider(stack, "aws", { region: process.env["AWS_REGION"] ?? "eu-central-1" });

// What is there already: a network with its subnets, a zone, a certificate.
const vpc = AwsVpc.fromAttributes({
  vpcId: process.env["SHOP_VPC"] ?? "vpc-0a1b2c3d4e5f60718",
  memberSubnetIds: (process.env["SHOP_MEMBER_SUBNETS"] ?? "subnet-0a0a0a0a,subnet-0b0b0b0b").split(","),
  balancerSubnetIds: (process.env["SHOP_PUBLIC_SUBNETS"] ?? "subnet-0c0c0c0c,subnet-0d0d0d0d").split(","),
});
const zone = HostedZone.fromAttributes({
  zoneId: process.env["SHOP_ZONE"] ?? "Z0123456789ABCDEFGHIJ",
  zoneName: "example.com",
});
const certificateArn =
  process.env["SHOP_CERTIFICATE"] ??
  "arn:aws:acm:eu-central-1:111122223333:certificate/5f3a7c1e-0000-4000-8000-000000000000";

// Home: eight members behind a balancer that Spillway's agent knows, but does not launch.
const onprem = new Site("onprem", {
  endpoint: process.env["SHOP_AGENT"] ?? "https://agent.dc.example.com:7501",
  address: process.env["SHOP_ADDRESS"] ?? "198.51.100.10",
});
const home = OnPremPool.fromAttributes(stack, "home", {
  site: onprem,
  poolName: "shop",
  port: 443,
  members: 8,
  monitor: new HealthMonitor({ path: "/healthz" }),
});

// The overflow, and its way home.
new Burst(stack, "shop", {
  image: new Image({ source: process.env["SHOP_IMAGE"] ?? "images/shop.qcow2" }),
  onPrem: { pool: home, memberCapacityRps: 200 },
  cloud: new AwsCloud({
    vpc,
    instanceTypes: ["m6i.large", "m5.large", "m6a.large"],
    memberPort: 8080,
    tls: { certificateArn },
    allowFrom: ["0.0.0.0/0"],
  }),
  record: new Route53Record({ zone, name: "shop.example.com" }),
  policy: { maxCloudMembers: 12 },
});

app.synth();
