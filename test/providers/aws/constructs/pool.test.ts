import { LaunchTemplate } from "@cdktf/provider-aws/lib/launch-template";
import { AwsCloudPool, AwsGlobalRecord, AwsImage } from "../../../../providers/aws/constructs";
import type { AwsCloudPoolProps } from "../../../../providers/aws/constructs";
import { declared, scan } from "../../../support/aws-policy-scan";
import { refusalsOf, resourcesOf, synth } from "../../../lib/constructs/support";
import { POOL, awsBurst, awsStack, zone } from "./support";

function alone(props: Partial<AwsCloudPoolProps> = {}) {
  const stack = awsStack();
  const image = AwsImage.fromAttributes(stack, "image", { imageId: "ami-1" });
  const pool = new AwsCloudPool(stack, "shop", { ...POOL, image, members: 3, port: 443, ...props });
  return { stack, pool };
}

test("no policy of high severity is broken by what the constructs make, however they are asked", () => {
  const stacks = [
    awsBurst().stack,
    alone({ ssm: true, spot: { sharePercent: 50 } }).stack,
    alone({ balancer: "network", allowFrom: ["0.0.0.0/0"] }).stack,
  ];
  for (const stack of stacks) {
    const { findings, asked } = scan(declared(synth(stack).resource));
    expect(findings).toEqual([]);
    expect(asked).toBeGreaterThan(15);
  }
});

test("the scan finds what is bad", () => {
  const { stack } = alone({ tls: "none" });
  new LaunchTemplate(stack, "bad", {
    metadataOptions: { httpTokens: "optional", httpPutResponseHopLimit: 2 },
  });
  expect(
    scan(declared(synth(stack).resource))
      .findings.map(({ id }) => id.split(" ")[0])
      .sort(),
  ).toEqual([...["CKV_AWS_2", "CKV_AWS_341", "CKV_AWS_79", "CKV_AWS_8"]]);
});

test("members are nobody to AWS, and connect to nowhere of themselves, unless asked", () => {
  const { stack } = alone();
  expect(resourcesOf(stack, "aws_iam_role")).toEqual([]);
  expect(resourcesOf(stack, "aws_launch_template")[0]).not.toHaveProperty("iam_instance_profile");
  expect(resourcesOf(stack, "aws_vpc_security_group_egress_rule")).toMatchObject([
    { referenced_security_group_id: expect.stringContaining("members-security") as string, from_port: 443 },
  ]);
});

test("a number of members is exact, or a floor that a scaling policy stands on", () => {
  expect(resourcesOf(alone().stack, "aws_autoscaling_group")[0]).toMatchObject({
    ...{ min_size: 3, max_size: 3, desired_capacity: 3, wait_for_elb_capacity: 3 },
  });
  const [floor] = resourcesOf(alone({ membersAre: "floor", maxMembers: 9 }).stack, "aws_autoscaling_group");
  expect(floor).toMatchObject({
    ...{ min_size: 3, max_size: 9, min_elb_capacity: 3, lifecycle: { ignore_changes: ["desired_capacity"] } },
  });
  expect(floor).not.toHaveProperty("desired_capacity");
});

test("a warm pool has one on-demand type, and Spot shares are given up before AWS takes them", () => {
  const [warm] = resourcesOf(
    alone({ instanceTypes: ["m6i.large"], warmPool: { members: 2 } }).stack,
    "aws_autoscaling_group",
  );
  expect(warm).toMatchObject({ warm_pool: { min_size: 2, pool_state: "Stopped" } });
  expect(warm).not.toHaveProperty("mixed_instances_policy");
  expect(resourcesOf(alone({ spot: { sharePercent: 40 } }).stack, "aws_autoscaling_group")[0]).toMatchObject({
    capacity_rebalance: true,
    mixed_instances_policy: { instances_distribution: { on_demand_percentage_above_base_capacity: 60 } },
  });
  expect(refusalsOf(() => alone({ warmPool: { members: 2 } }))).toEqual([
    "`warmPool` is given beside Spot instances or several instance types",
  ]);
});

test("a host name beside a balancer is refused, an address beside it is not", () => {
  const { stack, pool } = alone();
  const record = (id: string, address: string) =>
    new AwsGlobalRecord(stack, id, {
      zone,
      name: `${id}.example.com`,
      answers: [
        { site: "onprem", address, weight: 60 },
        { site: "aws", balancer: pool.balancer, weight: 40 },
      ],
    });
  expect(refusalsOf(() => record("a", "shop.dc.example.net"))).toEqual([
    "`answers` must be of one record type, got CNAME (shop.dc.example.net at onprem) beside A (an alias of the balancer at aws)",
  ]);
  expect(refusalsOf(() => record("b", "192.0.2.1"))).toEqual([]);
});

test("a burst creates few tokens: each costs a stack trace, which is most of a synth", () => {
  const { stackTraceLimit, captureStackTrace } = Error;
  let traces = 0;
  Error.captureStackTrace = (target, constructor) => {
    traces++;
    captureStackTrace(target, constructor);
  };
  try {
    awsBurst();
  } finally {
    Object.assign(Error, { stackTraceLimit, captureStackTrace });
  }
  expect(traces).toBeGreaterThan(10);
  expect(traces).toBeLessThan(400);
});
