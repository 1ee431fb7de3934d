import { parsePlan, renderMarkdown, type JsonObject } from "../../../../lib/review";
import { costHeadline, costOf, PriceBook, type CostReport } from "../../../../lib/review/cost";
import {
  group,
  modelOf,
  planOf,
  ROUND,
  ROUND_BOOK,
  roundCost,
  STANDING,
  TEMPLATE,
  type Change,
} from "./plans";

const made = (address: string, after: JsonObject, more: Partial<Change> = {}): Change => ({
  address,
  after,
  ...more,
});
const GROUP = "aws_autoscaling_group.pool";

/** `item: quantity after` of what is charged. */
function after(report: CostReport): Record<string, number> {
  return Object.fromEntries(
    report.lines.filter((line) => line.after.quantity > 0).map((line) => [line.item, line.after.quantity]),
  );
}

/** `item: why` of what is not known. */
function unknowns(report: CostReport): Record<string, string> {
  return Object.fromEntries(report.unknowns.map(({ item, why }) => [item, why]));
}

describe("a group's members", () => {
  test("a template that only gets its id by this plan is found through the configuration", () => {
    const { id: _, latest_version: __, ...fresh } = TEMPLATE;
    const report = roundCost([
      made("aws_launch_template.pool", fresh),
      made(GROUP, group(2, { launch_template: [{ version: "$Latest" }] }), {
        references: { "launch_template.id": ["aws_launch_template.pool.id", "aws_launch_template.pool"] },
      }),
    ]);
    expect(after(report)).toEqual({ "instance m6i.large": 2, "volume gp3": 20 });
  });

  test("a template's keys of count and module are found too", () => {
    const { id: _, latest_version: __, ...fresh } = TEMPLATE;
    const model = modelOf([
      made('module.shop["a"].aws_launch_template.pool[0]', fresh),
      made('module.shop["a"].aws_autoscaling_group.pool', group(2, { launch_template: [{ version: "1" }] })),
    ]);
    const references = {
      "launch_template.id": [
        "aws_launch_template.pool[0].id",
        "aws_launch_template.pool[0]",
        "aws_launch_template.pool",
      ],
    };
    const context = {
      ...model.context!,
      configured: { "module.shop.aws_autoscaling_group.pool": { provider: "aws", references } },
    };
    expect(after(costOf({ ...model, context }, ROUND_BOOK))).toMatchObject({ "instance m6i.large": 2 });
  });

  test("a template outside the plan is not known, by its id, and counts for nothing", () => {
    const report = roundCost([made(GROUP, group(2))]);
    expect(report.lines).toEqual([]);
    expect(unknowns(report)).toEqual({ instances: "its launch template lt-1 is not in this plan" });
    expect(costHeadline(report)).toBe("1 cost not known");
  });

  test("a template that changes its type changes the members, when the group follows the latest version", () => {
    const template = {
      address: STANDING.address,
      before: TEMPLATE,
      after: { ...TEMPLATE, instance_type: "m5.large" },
    };
    const report = roundCost([template, { address: GROUP, before: group(2), after: group(2) }]);
    expect(report.lines.map(({ item, before, after }) => [item, before.quantity, after.quantity])).toEqual([
      ["instance m5.large", 0, 2],
      ["instance m6i.large", 2, 0],
      ["volume gp3", 20, 20],
    ]);
    expect(report.change.hour).toBe(2);
  });

  test("a group that stays at a version goes on with that version's type", () => {
    const next = { ...TEMPLATE, instance_type: "m5.large", latest_version: 2 };
    const pinned = (version: string) => group(2, { launch_template: [{ id: "lt-1", version }] });
    const template = { address: STANDING.address, before: TEMPLATE, after: next };
    const stays = roundCost([template, { address: GROUP, before: pinned("1"), after: pinned("1") }]);
    expect(stays.changes).toBe(false);
    expect(after(stays)).toMatchObject({ "instance m6i.large": 2 });
    const older = { ...STANDING, before: next, after: next };
    const lost = roundCost([older, { address: GROUP, before: pinned("1"), after: group(2) }]);
    expect(unknowns(lost)).toEqual({
      instances: "version 1 of its launch template aws_launch_template.pool is not in this plan",
    });
  });

  test("what the program refers to now does not tell what a group was launched from before", () => {
    const other = group(2, { launch_template: [{ id: "lt-other", version: "$Latest" }] });
    const references = { "launch_template.id": ["aws_launch_template.pool.id", "aws_launch_template.pool"] };
    const report = roundCost([STANDING, { address: GROUP, before: other, after: group(2), references }]);
    expect(report.unknowns).toMatchObject([
      { why: "its launch template lt-other is not in this plan", before: 2, after: 0 },
    ]);
    expect(report.bound).toBe("at most");
    expect(after(report)).toMatchObject({ "instance m6i.large": 2 });
  });

  test("a group that told no template before was launched from one that is not known", () => {
    const silent = group(2, { launch_template: [{ version: "$Latest" }] });
    const references = { "launch_template.id": ["aws_launch_template.pool.id", "aws_launch_template.pool"] };
    const report = roundCost([STANDING, { address: GROUP, before: silent, after: group(2), references }]);
    expect(report.unknowns).toMatchObject([{ why: "its launch template is not in this plan", after: 0 }]);
  });

  test("a volume that the template has as well as the image counts once, as the template has it", () => {
    const image = {
      id: "ami-1",
      ebs_block_device: [{ device_name: "/dev/xvda", volume_size: 99, volume_type: "gp2" }],
    };
    const template = { ...TEMPLATE, image_id: "ami-1" };
    const report = roundCost([
      { address: "aws_ami.image", before: image, after: image },
      { ...STANDING, before: template, after: template },
      made(GROUP, group(2)),
    ]);
    expect(after(report)).toEqual({ "instance m6i.large": 2, "volume gp3": 20 });
  });

  test("volumes without a price are as many as their members", () => {
    const mapping = { device_name: "/dev/xvda", ebs: [{ volume_size: 10, volume_type: "io9" }] };
    const template = { ...TEMPLATE, block_device_mappings: [mapping] };
    const report = roundCost([
      { ...STANDING, before: template, after: template },
      { address: GROUP, before: group(2), after: group(4) },
    ]);
    expect(report.unknowns).toMatchObject([{ item: "volume io9", before: 20, after: 40 }]);
  });

  test("without a desired capacity it begins with its least; one that is only known later is not known", () => {
    const { desired_capacity: _, ...without } = group(0, { min_size: 3 });
    expect(after(roundCost([STANDING, made(GROUP, without)]))).toMatchObject({ "instance m6i.large": 3 });
    const later = made(GROUP, without, { references: { desired_capacity: ["data.http.wanted"] } });
    expect(unknowns(roundCost([STANDING, later]))).toEqual({
      instances: "the plan does not tell its desired capacity",
    });
  });

  const mixed = (distribution: JsonObject, override: readonly JsonObject[]): JsonObject => ({
    launch_template: [],
    mixed_instances_policy: [
      {
        instances_distribution: [distribution],
        launch_template: [{ launch_template_specification: [{ launch_template_id: "lt-1" }], override }],
      },
    ],
  });
  const OVERRIDES = [{ instance_type: "m6i.large" }, { instance_type: "m5.large" }];

  test.each([
    [{ on_demand_base_capacity: 0, on_demand_percentage_above_base_capacity: 0 }, 0, 5],
    [{ on_demand_base_capacity: 2, on_demand_percentage_above_base_capacity: 0 }, 2, 3],
    [{ on_demand_base_capacity: 0, on_demand_percentage_above_base_capacity: 50 }, 3, 2],
    [{ on_demand_base_capacity: 9, on_demand_percentage_above_base_capacity: 0 }, 5, 0],
    [{ on_demand_base_capacity: null, on_demand_percentage_above_base_capacity: null }, 5, 0],
  ])(
    "of 5 members with %p, %p are on demand and %p Spot, at most at the same price",
    (distribution, own, spot) => {
      const report = roundCost([STANDING, made(GROUP, group(5, mixed(distribution, OVERRIDES)))]);
      const found = after(report);
      expect([found["instance m6i.large"] ?? 0, found["instance m6i.large (Spot)"] ?? 0]).toEqual([
        own,
        spot,
      ]);
      expect(report.bound).toBe(spot > 0 ? "at most" : "about");
      expect(report.notes.join()).toMatch(/falls back to m5\.large at 2/);
    },
  );

  test("capacity in weights is fewer members, and requirements instead of types are not known", () => {
    const weighted = mixed({}, [{ instance_type: "m6i.large", weighted_capacity: "2" }]);
    expect(after(roundCost([STANDING, made(GROUP, group(5, weighted))]))).toMatchObject({
      "instance m6i.large": 3,
    });
    const required = mixed({}, [
      { instance_type: "", instance_requirements: [{ vcpu_count: [{ min: 2 }] }] },
    ]);
    expect(unknowns(roundCost([STANDING, made(GROUP, group(5, required))]))).toEqual({
      instances: "it takes any instance type that meets its requirements",
    });
  });

  test("a warm pool that is stopped costs its volumes, one that runs its hours as well", () => {
    const warm = (pool: JsonObject) =>
      after(roundCost([STANDING, made(GROUP, group(2, { max_size: 5, warm_pool: [pool] }))]));
    expect(warm({ pool_state: "Stopped", min_size: 0, max_group_prepared_capacity: null })).toMatchObject({
      "instance m6i.large": 2,
      "warm pool: volume gp3": 30,
    });
    expect(warm({ pool_state: "Running", min_size: 0, max_group_prepared_capacity: 3 })).toMatchObject({
      "warm pool: instance m6i.large": 1,
      "warm pool: volume gp3": 10,
    });
  });

  test("a template's Spot market, public addresses and detailed monitoring are of every member", () => {
    const template = {
      ...TEMPLATE,
      instance_market_options: [{ market_type: "spot" }],
      network_interfaces: [{ associate_public_ip_address: "true" }],
      monitoring: [{ enabled: true }],
    };
    const report = roundCost([{ ...STANDING, before: template, after: template }, made(GROUP, group(2))]);
    expect(after(report)).toEqual({
      "instance m6i.large (Spot)": 2,
      "volume gp3": 20,
      "public IPv4 address": 2,
      "detailed monitoring": 14,
    });
  });

  test("an image's volumes count where the template says nothing else, at the size of its snapshot", () => {
    const replica = made(
      "spillway_image_replica.image",
      {
        target: "ebs",
        size_bytes: 8 * 2 ** 30,
        transfer: { in_use_bytes: 2 ** 31, send_bytes: 2 ** 20 },
        retain: true,
      },
      { provider: "spillway" },
    );
    const image = made(
      "aws_ami.image",
      { root_device_name: "/dev/xvda", ebs_block_device: [{ device_name: "/dev/xvda", volume_type: "gp3" }] },
      {
        references: {
          "ebs_block_device.snapshot_id": [
            "spillway_image_replica.image.snapshot_id",
            "spillway_image_replica.image",
          ],
        },
      },
    );
    const template = made(
      "aws_launch_template.pool",
      {
        instance_type: "m6i.large",
        block_device_mappings: [{ device_name: "/dev/xvdb", ebs: [{ volume_size: 5 }] }],
      },
      { references: { image_id: ["aws_ami.image.id", "aws_ami.image"] } },
    );
    const members = made(GROUP, group(2, { launch_template: [{ version: "$Latest" }] }), {
      references: { "launch_template.id": ["aws_launch_template.pool.id", "aws_launch_template.pool"] },
    });
    const report = roundCost([replica, image, template, members]);
    expect(after(report)).toEqual({
      "instance m6i.large": 2,
      "volume gp3": 16,
      "volume gp2": 10,
      snapshot: 2,
    });
    expect(report.unknowns).toEqual([]);
  });

  test("a root volume of an image outside the plan is not known", () => {
    const bare = { ...TEMPLATE, block_device_mappings: [] };
    const report = roundCost([{ ...STANDING, before: bare, after: bare }, made(GROUP, group(2))]);
    expect(unknowns(report)).toEqual({
      "root volume": "its size is the machine image's, which is not in this plan",
    });
  });
});

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
