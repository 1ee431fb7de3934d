import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { Burst, OnPremPool } from "../../../../lib";
import { AwsCloud, AwsLoadBalancer, Route53Record } from "../../../../providers/aws/constructs";
import { cloud as agentSite, notesOf, refusalsOf, resourcesOf, synth } from "../../../lib/constructs/support";
import { POOL, awsBurst, awsStack, image, onprem, zone } from "./support";

const BURST_ONLY = "${var.shop.burst ? 1 : 0}";

test("its ids and addresses are a contract: a change would replace what runs", () => {
  const { stack, burst } = awsBurst({ ssm: true });
  expect(burst.node.children.map(({ node }) => node.id)).toEqual([
    ...["parameters", "decision", "replica", "image", "pool", "gate", "record"],
  ]);
  const { resource } = synth(stack);
  const addresses = Object.entries(resource).flatMap(([type, all]) =>
    Object.entries(all).map(
      ([id, { count }]) => `${type}.${id}${count === undefined ? "" : " comes and goes"}`,
    ),
  );
  expect(addresses.sort()).toMatchSnapshot();
});

test("the order of the way out, and back, is in the dependencies: listener, group, gate, the cloud's answer", () => {
  const { stack, burst } = awsBurst();
  const [group] = resourcesOf(stack, "aws_autoscaling_group");
  const [gate] = resourcesOf(stack, "spillway_gate");
  const records = resourcesOf(stack, "aws_route53_record");
  const answer = records.find(({ set_identifier }) => set_identifier === "aws");
  const listener = `aws_lb_listener.${burst.pool.listener?.friendlyUniqueId}`;
  expect(group?.["depends_on"]).toEqual([listener]);
  expect(gate?.["depends_on"]).toEqual([
    `aws_autoscaling_group.${burst.pool.group.friendlyUniqueId}`,
    listener,
  ]);
  expect(answer?.["depends_on"]).toEqual([`spillway_gate.${burst.gate.resource.friendlyUniqueId}`]);
  // With create_before_destroy a gate would force it on the group, whose name is fixed.
  expect(gate).not.toHaveProperty("lifecycle");
  expect(gate).toMatchObject({ count: BURST_ONLY, record_ttl: 60 });
});

test("the cloud's answer is removed on the way home, never given weight 0; home's is there always", () => {
  const { stack } = awsBurst();
  const records = resourcesOf(stack, "aws_route53_record");
  expect(records.find(({ set_identifier }) => set_identifier === "aws")).toMatchObject({
    count: '${var.shop.burst && contains(keys(var.shop.weights), "aws") ? 1 : 0}',
    alias: { evaluate_target_health: true },
  });
  const home = records.find(({ set_identifier }) => set_identifier === "onprem");
  expect(home).not.toHaveProperty("count");
  expect(home).toMatchObject({ type: "A", ttl: 60, records: ["198.51.100.10"] });
  expect(resourcesOf(stack, "aws_route53_health_check")).toMatchObject([
    {
      type: "HTTPS",
      ip_address: "198.51.100.10",
      fqdn: "shop.example.com",
      resource_path: "/healthz",
      enable_sni: true,
    },
  ]);
});

test("the hook finds the cloud by its names, and knows every address that a burst may touch", () => {
  const { stack } = awsBurst();
  const manifest = notesOf(stack).spillway?.bursts["shop"] as {
    addresses: { also: Record<string, string> };
    sites: object;
  };
  expect(manifest).toMatchObject({
    record: { name: "shop.example.com", ttlSeconds: 60 },
    cloud: { site: "aws", pool: "shop" },
    platform: {
      ...{
        kind: "aws",
        region: "eu-central-1",
        autoScalingGroup: "shop",
        targetGroup: "shop",
        loadBalancer: "shop",
      },
      ...{ zone: "example.com", homeIdentifier: "onprem", cloudIdentifier: "aws" },
    },
  });
  expect(manifest).not.toHaveProperty("record.nameServerSite");
  expect(Object.keys(manifest.sites)).toEqual(["onprem"]);
  const conditional = Object.entries(synth(stack).resource).flatMap(([type, all]) =>
    Object.entries(all).flatMap(([id, { count }]) => (count === undefined ? [] : [`${type}.${id}`])),
  );
  const { also, ...links } = manifest.addresses;
  const { record, ...others } = links as Record<string, string>;
  expect([...Object.values(others), ...Object.keys(also)].sort()).toEqual(conditional.sort());
  expect(record).toContain("onprem");
});

test("what is kept between bursts is not the burst's to touch", () => {
  const { stack, burst } = awsBurst({ keepLoadBalancer: true });
  expect(resourcesOf(stack, "aws_lb")[0]).not.toHaveProperty("count");
  expect(resourcesOf(stack, "aws_lb_listener")[0]).not.toHaveProperty("count");
  const { addresses } = notesOf(stack).spillway?.bursts["shop"] as { addresses: { also: object } };
  expect(Object.keys(addresses.also).join()).not.toContain("aws_lb");
  expect(burst.pool.balancer.dnsName).toMatch(/^\$\{aws_lb\..*\.dns_name\}$/);
});

test("a listener that is there already gets a rule for the burst's host name, and nothing else is made of it", () => {
  const balancer = AwsLoadBalancer.fromArn(
    "arn:aws:elasticloadbalancing:eu-central-1:111122223333:loadbalancer/app/edge/50dc6c495c0c9188",
    { dnsName: "edge", zoneId: "Z2", securityGroupId: "sg-9", listenerArn: "arn:listener" },
  );
  const { stack } = awsBurst({ balancer, allowFrom: [] });
  expect(resourcesOf(stack, "aws_lb")).toEqual([]);
  expect(resourcesOf(stack, "aws_lb_listener")).toEqual([]);
  expect(resourcesOf(stack, "aws_lb_listener_rule")).toMatchObject([
    {
      listener_arn: "arn:listener",
      condition: [{ host_header: { values: ["shop.example.com"] } }],
      count: BURST_ONLY,
    },
  ]);
});

test("everything that is wrong is told at once, with the path", () => {
  const refused = refusalsOf(() =>
    awsBurst(
      {
        poolName: "internal-shop",
        instanceTypes: ["huge", "huge"],
        allowFrom: ["everybody"],
        tls: { certificateArn: "mine" },
        spot: { sharePercent: 0 },
        deletionProtection: true,
        region: "europe",
      },
      { name: "shop.example.org", ttlSeconds: 0 },
    ),
  );
  expect(refused).toEqual([
    expect.stringMatching(/^`cloud.poolName` must be 1 to 32 letters/),
    '`cloud.region` must be an AWS region, got "europe"',
    '`cloud.instanceTypes` must not hold "huge"',
    '`cloud.instanceTypes` must not hold "huge"',
    "`cloud.instanceTypes` must be at most 40, each once, got huge, huge",
    '`cloud.allowFrom` must be a CIDR block or a prefix list, got "everybody"',
    '`cloud.tls.certificateArn` must be the ARN of a certificate, got "mine"',
    "`cloud.spot.sharePercent` must be a whole number from 1 to 100, got 0",
    "`cloud.deletionProtection` is on for a balancer that goes after each burst",
    '`record.name` must be in the zone example.com, got "shop.example.org"',
    "`record.ttlSeconds` must be a whole number from 1 to 86400, got 0",
  ]);
});

test("a platform's cloud and an agent's record do not go together, nor the other way round", () => {
  const stack = awsStack();
  const pool = OnPremPool.fromAttributes(stack, "home", {
    site: onprem,
    poolName: "shop",
    port: 443,
    members: 2,
  });
  const common = { image, onPrem: { pool, memberCapacityRps: 1 } };
  const aws = new AwsCloud(POOL);
  const record = new Route53Record({ zone, name: "shop.example.com" });
  const atAgent = { name: "shop.example.com", nameServer: onprem };
  expect(refusalsOf(() => new Burst(stack, "a", { ...common, cloud: aws, record: atAgent }))).toEqual([
    "`record` is a site's name server's, but the cloud is a platform's",
  ]);
  expect(
    refusalsOf(() => new Burst(stack, "b", { ...common, cloud: { site: agentSite }, record })),
  ).toContain("`record` is a platform's, but the cloud is a site with an agent");
});

test("AWS's bindings are imported by subpath only: the whole package takes 1.5 s and 450 MB", () => {
  const root = join(__dirname, "..", "..", "..", "..");
  const offenders = ["lib", "providers", "cli", "examples", "test", "bench"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((file) => /\.[cm]?[jt]s$/.test(file) && !/node_modules|cdktf\.out/.test(file))
      .filter((file) =>
        /["']@cdktf\/provider-aws(\/lib)?(\/index)?["']/.test(readFileSync(join(root, folder, file), "utf8")),
      )
      .map((file) => join(folder, file)),
  );
  expect(offenders).toEqual([]);
});
