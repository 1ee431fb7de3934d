import { checkPlan, type PlanCheck } from "../../../lib/policy";
import { parsePlan, type JsonObject } from "../../../lib/review";
import { seen } from "./support";

/** A burst whose cloud is AWS: each side's answer is a resource of its own. */
const MANIFEST = {
  variable: "shop",
  onPrem: { site: "onprem", pool: "shop", memberCapacityRps: 100, members: 4 },
  cloud: { site: "cloud", pool: "shop", memberCapacityRps: 100, members: 4 },
  addresses: {
    replica: "spillway_image_replica.shop",
    pool: "aws_autoscaling_group.shop",
    gate: "spillway_gate.shop",
    record: "aws_route53_record.home",
    cloudRecord: "aws_route53_record.cloud",
    also: {
      "aws_ami.shop": "replica",
      "aws_launch_template.shop": "pool",
      "aws_lb.shop": "pool",
      "aws_lb_listener.shop": "pool",
      "aws_route53_health_check.cloud": "record",
    },
  },
} as const;
const OUT = { burst: true, cloudMembers: 2, weights: { onprem: 50, cloud: 50 } };
const ALONE = { burst: true, cloudMembers: 2, weights: { onprem: 100 } };
const HOME = { burst: false, cloudMembers: 2, weights: { onprem: 100 } };

type Action = "create" | "update" | "delete" | "no-op" | "replace";
const ACTIONS: Readonly<Record<Action, string[]>> = {
  ...{ create: ["create"], update: ["update"], delete: ["delete"], "no-op": ["no-op"] },
  replace: ["delete", "create"],
};

function change(address: string, action: Action, before: object = {}, after: object = before): JsonObject {
  const [type = "", name = ""] = address.replace(/\[.*$/, "").split(".");
  const change = {
    actions: ACTIONS[action],
    before: action === "create" ? null : before,
    after: action === "delete" ? null : after,
    ...{ after_unknown: {}, before_sensitive: false, after_sensitive: false },
  };
  const index = address.endsWith("]") ? { index: 0 } : {};
  return { address, mode: "managed", type, name, ...index, change } as unknown as JsonObject;
}
const answer = (weight: number) => ({ type: "A", weighted_routing_policy: [{ weight }] });
const home = (action: Action, before = 50, after = 100) =>
  change("aws_route53_record.home", action, answer(before), answer(after));
const cloud = (action: Action) => change("aws_route53_record.cloud[0]", action, answer(50));
const group = (action: Action) => change("aws_autoscaling_group.shop[0]", action, { desired_capacity: 2 });
const gate = (action: Action) => change("spillway_gate.shop[0]", action, { site: "aws/eu-central-1" });
const part = (address: string, action: Action) => change(address, action, {});

function check(changes: JsonObject[], more: Partial<PlanCheck> = {}): string[] {
  const refusals = checkPlan({
    plan: parsePlan({ format_version: "1.2", resource_changes: changes }),
    manifest: MANIFEST,
    wanted: OUT,
    createBeforeDestroy: new Set(),
    observation: seen(0, 100),
    ...more,
  });
  for (const { problem, mend } of refusals) {
    expect(problem).not.toMatch(/undefined|NaN|\.$/);
    expect(mend).toMatch(/\.$/);
  }
  return refusals.map(({ rule, address }) => `${rule} ${address}`);
}

const WAY_HOME = [
  home("update"),
  cloud("delete"),
  gate("delete"),
  group("delete"),
  part("aws_lb_listener.shop[0]", "delete"),
  part("aws_lb.shop[0]", "delete"),
  part("aws_launch_template.shop", "update"),
  part("aws_ami.shop[0]", "delete"),
  part("aws_route53_health_check.cloud[0]", "delete"),
];

test("the way out passes with all that goes with it", () => {
  const made = ["aws_ami.shop[0]", "aws_lb.shop[0]", "aws_lb_listener.shop[0]"].map((each) =>
    part(each, "create"),
  );
  const launched = part("aws_launch_template.shop", "update");
  expect(
    check([home("update", 100, 50), ...made, launched, group("create"), gate("create"), cloud("create")]),
  ).toEqual([]);
});

test("the way home passes when the cloud's answer is among what goes, without create_before_destroy", () => {
  expect(check(WAY_HOME, { wanted: HOME })).toEqual([]);
});

test("gate and group do not go while the cloud is answered with", () => {
  for (const kept of [[cloud("no-op")], [cloud("update")], [cloud("replace")]]) {
    const refused = check([home("update"), ...kept, gate("delete"), group("delete")], { wanted: HOME });
    expect(refused).toContain("record-answers aws_route53_record.cloud[0]");
    expect(refused).toContain("record-first spillway_gate.shop[0]");
    expect(refused).toContain("record-first aws_autoscaling_group.shop[0]");
  }
});

test("what a way home that was cut off left over goes once nobody is there, and not before that is known", () => {
  const rest = [home("no-op", 100), group("delete"), part("aws_lb.shop[0]", "delete")];
  const at = (cloudSeen: object) => {
    const observation = seen(0, 100);
    return { wanted: HOME, observation: { ...observation, cloud: { ...observation.cloud, ...cloudSeen } } };
  };
  expect(check(rest, at({ sessions: 0 }))).toEqual([]);
  expect(check(rest, at({ sessions: 3 }))).toContain("guarded-removal aws_autoscaling_group.shop[0]");
  expect(check(rest, at({ sessions: 0, usersUnknown: "no metrics" }))).toContain(
    "guarded-removal aws_lb.shop[0]",
  );
});

test("on the way home the answer is removed, and on-premises keeps a weight", () => {
  expect(check([home("update", 50, 0), ...WAY_HOME.slice(1)], { wanted: HOME })).toEqual([
    "record-answers aws_route53_record.home",
  ]);
  expect(check([home("delete"), ...WAY_HOME.slice(1)], { wanted: HOME })).toContain(
    "record-stays aws_route53_record.home",
  );
});

test("nobody is sent home to members that cannot carry all", () => {
  expect(check(WAY_HOME, { wanted: HOME, observation: seen(0, 1_000) })).toEqual([
    "healthy-capacity aws_route53_record.home",
  ]);
});

test("in a burst the cloud's answer goes only when its site is out of the weights", () => {
  expect(check([home("update", 50, 100), cloud("delete")], { wanted: ALONE })).toEqual([]);
  for (const action of ["delete", "replace"] as const)
    expect(check([home("no-op"), cloud(action)])).toEqual([
      "no-removal-in-burst aws_route53_record.cloud[0]",
    ]);
});

test("in a burst nothing that goes with the pool is removed, and what is replaced before users came may be", () => {
  for (const address of ["aws_lb.shop[0]", "aws_lb_listener.shop[0]"]) {
    const lost = [home("no-op"), cloud("no-op"), gate("no-op"), part(address, "replace")];
    expect(check(lost)).toEqual([`no-removal-in-burst ${address}`]);
    expect(check([home("no-op"), part(address, "replace")])).toEqual([]);
  }
});

test("growing is an update of the group", () => {
  expect(check([home("update", 50, 40), cloud("update"), group("update")])).toEqual([]);
});

test("coming home makes and replaces nothing in the cloud", () => {
  for (const action of ["create", "replace"] as const)
    expect(check([...WAY_HOME.slice(0, 5), part("aws_lb.shop[0]", action)], { wanted: HOME })).toEqual([
      "home-only-removes aws_lb.shop[0]",
    ]);
  expect(check([home("no-op", 100), group("update")], { wanted: HOME })).toEqual([
    "home-only-removes aws_autoscaling_group.shop[0]",
  ]);
});

test("what the manifest does not name is none of the burst's", () => {
  expect(check([home("no-op"), part("aws_lb.other", "update")])).toEqual(["own-resources aws_lb.other"]);
  expect(check([home("no-op"), part("toString.constructor", "update")])).toEqual([
    "own-resources toString.constructor",
  ]);
});
