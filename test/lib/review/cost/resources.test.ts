import { parsePlan, renderMarkdown, type JsonObject } from "../../../../lib/review";
import { costHeadline, costOf, PriceBook } from "../../../../lib/review/cost";
import {
  after,
  group,
  GROUP,
  made,
  modelOf,
  planOf,
  ROUND,
  ROUND_BOOK,
  roundCost,
  STANDING,
  TEMPLATE,
  unknowns,
  type Change,
} from "./plans";

describe("an image at EBS", () => {
  const REPLICA = {
    target: "ebs",
    retain: false,
    size_bytes: 10 * 2 ** 30,
    ebs: { region: "eu-central-1" },
    transfer: { in_use_bytes: 4 * 2 ** 30, send_bytes: 2 ** 30 },
  } as const satisfies JsonObject;
  const ADDRESS = "spillway_image_replica.image";

  test("is charged for its bytes in use at most, and once for the blocks that are written", () => {
    const report = roundCost([made(ADDRESS, REPLICA)]);
    expect(after(report)).toEqual({ snapshot: 4 });
    expect(report.bound).toBe("at most");
    // 2048 blocks; a GB in is free.
    expect(report.once).toBeCloseTo(0.02048, 10);
    expect(report.onceLines.map(({ item }) => item)).toEqual(["blocks written to the snapshot"]);
    expect(costHeadline(report)).toBe(
      "at most $0.004 an hour more, $2.92 if it lasted a month, $0.0205 once",
    );
  });

  test("that was imported, and tells no bytes in use, counts as its size", () => {
    const transfer = { in_use_bytes: 0, send_bytes: 0 };
    expect(after(roundCost([made(ADDRESS, { ...REPLICA, transfer })]))).toEqual({ snapshot: 10 });
  });

  test("goes on costing when it is kept at the destruction, and is told to", () => {
    const gone = (retain: boolean) => roundCost([{ address: ADDRESS, before: { ...REPLICA, retain } }]);
    expect(gone(false).change.month).toBeCloseTo(-2.92, 6);
    expect(gone(true).change.month).toBe(0);
    expect(gone(true).after.month).toBeCloseTo(2.92, 6);
    expect(gone(true).notes.join()).toMatch(/spillway_image_replica\.image is kept at its destruction/);
  });

  test("a replica at a site costs nothing of the cloud's; an image that cannot be read is not known", () => {
    expect(roundCost([made(ADDRESS, { ...REPLICA, target: "site", site: "cloud" })])).toMatchObject({
      lines: [],
      changes: false,
    });
    const unread = made(ADDRESS, { target: "ebs", ebs: { region: "eu-central-1" }, retain: true });
    expect(Object.keys(unknowns(roundCost([unread]))).sort()).toEqual(
      ["image transfer", "snapshot"].slice(0, 2),
    );
  });
});

describe("single resources", () => {
  test.each<[string, string, JsonObject, Record<string, number>]>([
    [
      "an instance",
      "aws_instance.one",
      {
        instance_type: "t3.small",
        associate_public_ip_address: true,
        root_block_device: [{ volume_size: 8, volume_type: "gp3" }],
        ebs_block_device: [],
      },
      { "instance t3.small": 1, "public IPv4 address": 1, "volume gp3": 8 },
    ],
    ["a volume", "aws_ebs_volume.one", { size: 10, type: "gp2", iops: 100 }, { "volume gp2": 10 }],
    [
      "a fast volume",
      "aws_ebs_volume.one",
      { size: 10, type: "gp3", iops: 4000, throughput: 225 },
      { "volume gp3": 10, "volume gp3, provisioned IOPS": 1000, "volume gp3, throughput": 100 },
    ],
    [
      "an internal balancer",
      "aws_lb.one",
      { load_balancer_type: "application", internal: true, subnets: ["a", "b"] },
      { "application load balancer": 1, "application load balancer, capacity units": 1 },
    ],
    [
      "a health check",
      "aws_route53_health_check.one",
      { type: "TCP", ip_address: "192.0.2.1" },
      { "health check of an endpoint elsewhere": 1 },
    ],
    [
      "a health check with options",
      "aws_route53_health_check.one",
      { type: "HTTPS_STR_MATCH", fqdn: "x.elb.amazonaws.com", request_interval: 10, measure_latency: true },
      { "health check of an endpoint at AWS": 1, "health check of an endpoint at AWS, options": 4 },
    ],
    ["an alarm", "aws_cloudwatch_metric_alarm.one", { period: 60, metric_query: [] }, { alarm: 1 }],
    ["an address", "aws_eip.one", {}, { "public IPv4 address": 1 }],
  ])("%s", (_, address, values, expected) => {
    const report = roundCost([made(address, values)]);
    expect(after(report)).toEqual(expected);
    expect(report.unknowns).toEqual([]);
  });

  test("what is not priced here is said, when it comes or goes, and what is free is not", () => {
    const comes = roundCost([made("aws_nat_gateway.one", {}), made("aws_security_group.one", {})]);
    expect(unknowns(comes)).toEqual({ aws_nat_gateway: "its price is not worked out here" });
    expect(roundCost([{ address: "aws_nat_gateway.one", before: {}, after: {} }]).changes).toBe(false);
  });

  test("what leaves Terraform without being destroyed, or is only taken over, costs as before", () => {
    const values = { size: 10, type: "gp3" };
    const address = "aws_ebs_volume.one";
    expect(roundCost([{ address, before: values, actions: ["forget"] }])).toMatchObject({ changes: false });
    expect(roundCost([{ address, before: values, actions: ["delete"] }]).change.hour).toBeCloseTo(-0.1, 9);
  });

  test("what is not known and stays so does not make the change less certain", () => {
    const volume = { size: 10, type: "gp3" };
    const odd = { size: 10, type: "io9" };
    const report = roundCost([
      { address: "aws_ebs_volume.odd", before: odd, after: odd },
      { address: "aws_ebs_volume.one", before: volume, after: { ...volume, size: 20 } },
    ]);
    expect(report.unknowns).toMatchObject([{ address: "aws_ebs_volume.odd" }]);
    expect(costHeadline(report)).toBe("about $0.10 an hour more, $73.00 if it lasted a month");
  });

  test("what -target leaves out counts before and after, and what is moved counts once", () => {
    const values = { size: 10, type: "gp3" };
    const plan = planOf([{ address: "aws_ebs_volume.new", before: values, after: values }]);
    const [change] = plan.resource_changes as readonly JsonObject[];
    const state = (name: string) => ({
      address: `aws_ebs_volume.${name}`,
      mode: "managed",
      type: "aws_ebs_volume",
      values,
    });
    const report = costOf(
      parsePlan({
        ...plan,
        resource_changes: [{ ...change, previous_address: "aws_ebs_volume.old" }],
        prior_state: { values: { root_module: { resources: [state("old"), state("left_out")] } } },
      }),
      new PriceBook([{ name: "round", table: ROUND }]),
      { region: "eu-central-1" },
    );
    expect(report.lines.map(({ address, before }) => [address, before.quantity])).toEqual([
      ["aws_ebs_volume.left_out", 10],
      ["aws_ebs_volume.new", 10],
    ]);
    expect(report.changes).toBe(false);
  });

  test("a configuration in JSON, as constructs make it, tells a reference beside the text that has it", () => {
    const specification = {
      launch_template: [{ launch_template_specification: [{}], override: [{ instance_type: "m6i.large" }] }],
    };
    const path = "mixed_instances_policy.launch_template.launch_template_specification.launch_template_id";
    const template = made("aws_launch_template.pool[0]", { ...TEMPLATE, id: null });
    const pool = made(
      `${GROUP}[0]`,
      { min_size: 3, max_size: 3, desired_capacity: 3, mixed_instances_policy: [specification] },
      { references: { [path]: ["aws_launch_template.pool"] } },
    );
    const plan = JSON.stringify({
      ...planOf([template, pool]),
      variables: { where: { value: "eu-central-1" } },
    })
      .replace('{"constant_value":"eu-central-1"}', '{"references":["var.where"]}')
      .replace(/"references":\["([\w.]+)"\]/g, (all, name) => `"constant_value":"\${${name}}",${all}`);
    expect(plan).toContain('"constant_value":"${var.where}"');
    expect(plan).toContain('"constant_value":"${aws_launch_template.pool}"');
    const report = costOf(parsePlan(plan), ROUND_BOOK);
    expect(report.unknowns).toEqual([]);
    expect(after(report)).toEqual({ "instance m6i.large": 3, "volume gp3": 30 });
  });

  test("use is counted as assumed, and told with its price where nothing is assumed", () => {
    const lb = made("aws_lb.one", { internal: false, subnets: ["a"], load_balancer_type: "application" });
    const told = roundCost([lb]);
    expect(told.usage).toMatchObject([{ item: "data to the internet", unitPrice: 0.1, unit: "GB" }]);
    const assumptions = { capacityUnits: 4, dataOutGbPerHour: 20 };
    const counted = roundCost([lb], new PriceBook([{ name: "mine", table: { ...ROUND, assumptions } }]));
    expect(counted.usage).toEqual([]);
    expect(counted.change.hour - told.change.hour).toBeCloseTo(3 * 0.25 + 20 * 0.1, 9);
    expect(counted.notes).toEqual(["20 GB an hour assumed", "4 capacity units assumed"]);
  });
});

test("what the plan's words are made of cannot break out of a line, a cell or into markup", () => {
  const type = "m9.a|b`c\n\n# <img src=x> **d**";
  const template = { ...TEMPLATE, instance_type: type };
  const book = new PriceBook([
    {
      name: "a|b <i>",
      table: { ...ROUND, source: "x\n# y", regions: { "eu-central-1": { instances: { [type]: 1 } } } },
    },
  ]);
  for (const prices of [book, ROUND_BOOK]) {
    const model = modelOf([
      { ...STANDING, before: template, after: template },
      made(GROUP, group(2)),
      made(`aws_ebs_volume.x["a|b"]`, { size: 1, type: "gp3" }),
    ]);
    const text = renderMarkdown(model, { cost: costOf(model, prices), now: Date.parse("2030-01-01") });
    const lines = text.split("\n");
    expect(lines.filter((line) => line.startsWith("#"))).toEqual(["### Cost"]);
    expect(text.replace(/\\</g, "")).not.toMatch(/<img|<i>/);
    for (const line of lines.filter((each) => each.startsWith("| `"))) {
      expect(line.replaceAll("\\|", "").match(/\|/g)).toHaveLength(6);
    }
    expect(lines.filter((line) => line.includes("m9")).length).toBeGreaterThan(0);
  }
});

describe("regions", () => {
  const VOLUME = "aws_ebs_volume.one";
  const cost = (changes: readonly Change[], region: string | undefined, hint?: string) =>
    costOf(modelOf(changes, region), ROUND_BOOK, hint === undefined ? {} : { region: hint });

  test("each resource has its own: by its zone or name, before its provider's", () => {
    const there = { size: 1, type: "gp3", availability_zone: "us-east-1a" };
    const both = cost(
      [made(VOLUME, { size: 1, type: "gp3" }), made("aws_ebs_volume.two", there)],
      "eu-central-1",
    );
    expect(both.lines.map(({ address, region }) => [address, region])).toEqual([[VOLUME, "eu-central-1"]]);
    expect(both.unknowns).toMatchObject([
      { address: "aws_ebs_volume.two", why: "the price table has no volumes.gp3.gbMonth in us-east-1" },
    ]);
  });

  test("a region that only the environment knows is that of the provider's other resources, or the one named", () => {
    const volume = made(VOLUME, { size: 1, type: "gp3" });
    const group_ = { arn: "arn:aws:elasticloadbalancing:eu-central-1:1:targetgroup/shop/1" };
    const unknown = costOf(modelOf([{ ...volume, provider: "aws.other" }]), ROUND_BOOK);
    expect(unknown.unknowns).toMatchObject([
      { why: "the plan does not tell its region", mend: expect.stringMatching(/--region/) as string },
    ]);
    const other = {
      address: "aws_lb_target_group.one",
      before: group_,
      after: group_,
      provider: "aws.other",
    };
    const neighbour = costOf(modelOf([{ ...volume, provider: "aws.other" }, other]), ROUND_BOOK);
    expect(neighbour.lines).toMatchObject([{ region: "eu-central-1" }]);
    const named = costOf(modelOf([{ ...volume, provider: "aws.other" }]), ROUND_BOOK, {
      region: "eu-central-1",
    });
    expect(named.lines).toMatchObject([{ region: "eu-central-1" }]);
  });

  test("more of what has no price is a change as well; none of it is none", () => {
    const template = { ...TEMPLATE, instance_type: "m9.huge" };
    const standing = { ...STANDING, before: template, after: template };
    const from = (before: number, after: number) =>
      roundCost([standing, { address: GROUP, before: group(before), after: group(after) }]);
    expect(from(3, 5).unknowns).toMatchObject([{ item: "instance m9.huge", before: 3, after: 5 }]);
    expect(costHeadline(from(3, 5))).toBe(
      "at least $0.20 an hour more, $146 if it lasted a month, 1 cost not known",
    );
    expect(from(3, 3).changes).toBe(false);
    expect(from(0, 0).unknowns).toEqual([]);
    const lost = (before: number, after: number) =>
      roundCost([{ address: GROUP, before: group(before), after: group(after) }]);
    expect(costHeadline(lost(3, 5))).toBe("1 cost not known");
    expect(costHeadline(lost(3, 3))).toBe("");
  });

  test("a region or type without a price is listed by name, with what to do", () => {
    const report = roundCost([
      { address: STANDING.address, before: TEMPLATE, after: { ...TEMPLATE, instance_type: "m9.huge" } },
      { address: GROUP, before: group(2), after: group(2) },
    ]);
    expect(report.unknowns).toEqual([
      {
        address: GROUP,
        item: "instance m9.huge",
        why: "the price table has no instances.m9.huge in eu-central-1",
        mend: "Add it to a price table of your own: `spillway review --prices FILE`.",
        before: 0,
        after: 2,
        once: false,
      },
    ]);
    expect(costHeadline(report)).toBe("at most $2.00 an hour less, $1460 a month, 1 cost not known");
  });
});
