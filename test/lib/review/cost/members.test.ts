import type { JsonObject } from "../../../../lib/review";
import { costHeadline, costOf } from "../../../../lib/review/cost";
import {
  after,
  group,
  GROUP,
  made,
  modelOf,
  ROUND_BOOK,
  roundCost,
  STANDING,
  TEMPLATE,
  unknowns,
} from "./plans";

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
