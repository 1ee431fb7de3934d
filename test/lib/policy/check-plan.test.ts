import { checkPlan, otherImageInCloud, type PlanCheck } from "../../../lib/policy";
import { parsePlan, type JsonObject } from "../../../lib/review";
import { seen, siteSeen } from "./support";

const MANIFEST = {
  variable: "shop",
  onPrem: { site: "onprem", pool: "shop", memberCapacityRps: 100, members: 4 },
  cloud: { site: "cloud", pool: "shop", memberCapacityRps: 100, members: 4 },
  addresses: {
    replica: "spillway_image_replica.shop",
    pool: "spillway_pool.cloud",
    gate: "spillway_gate.cloud",
    record: "spillway_global_record.shop",
  },
} as const;
const OUT = { burst: true, cloudMembers: 2, weights: { onprem: 50, cloud: 50 } };
const HOME = { burst: false, cloudMembers: 2, weights: { onprem: 100 } };

const both = { answers: [answer("onprem", 50), answer("cloud", 50)] };
const onPremOnly = { answers: [answer("onprem", 100)] };

function answer(site: string, weight: number): JsonObject {
  return { site, weight, address: "127.0.1.1" };
}

function change(
  address: string,
  actions: string[],
  before: unknown,
  after: unknown,
  more: object = {},
): object {
  const [type = "", rest = ""] = address.split(".");
  const [name = "", index] = rest.replace("]", "").split("[");
  return {
    address,
    mode: "managed",
    type,
    name,
    ...(index === undefined ? {} : { index: Number(index) }),
    change: { actions, before, after, after_unknown: {}, before_sensitive: false, after_sensitive: false },
    ...more,
  };
}

const record = (actions: string[], before: unknown, after: unknown) =>
  change("spillway_global_record.shop", actions, before, after);
const pool = (actions: string[], more?: object) =>
  change(
    "spillway_pool.cloud[0]",
    actions,
    actions[0] === "create" && actions.length === 1 ? null : { site: "cloud", members: 2 },
    null,
    more,
  );
const gate = (actions: string[], more?: object) =>
  change(
    "spillway_gate.cloud[0]",
    actions,
    actions[0] === "create" && actions.length === 1 ? null : { site: "cloud" },
    null,
    more,
  );

function check(changes: object[], more: Partial<PlanCheck> & { readonly plan_?: object } = {}): string[] {
  const plan = parsePlan({
    format_version: "1.2",
    resource_changes: changes as unknown as JsonObject[],
    ...(more.plan_ as JsonObject | undefined),
  });
  const refusals = checkPlan({
    plan,
    manifest: MANIFEST,
    wanted: OUT,
    createBeforeDestroy: new Set(["spillway_pool.cloud", "spillway_gate.cloud"]),
    observation: seen(0, 100),
    ...more,
  });
  for (const refusal of refusals) {
    expect(refusal.problem).not.toMatch(/undefined|NaN|\.$/);
    expect(refusal.mend).toMatch(/\.$/);
  }
  return refusals.map(({ rule, address }) => `${rule} ${address}`);
}

test("the way out passes: the burst's own resources come, the record changes, outputs change", () => {
  expect(
    check(
      [
        change("spillway_image_replica.shop[0]", ["create"], null, {}),
        pool(["create"]),
        gate(["create"]),
        record(["update"], onPremOnly, both),
        change(
          "spillway_pool.home",
          ["no-op"],
          { site: "onprem", name: "shop" },
          { site: "onprem", name: "shop" },
        ),
        change("data.spillway_context.now", ["read"], null, {}, { mode: "data" }),
      ],
      { plan_: { output_changes: { shop: { actions: ["update"], before: 1, after: 2 } } } },
    ),
  ).toEqual([]);
});

test("the cloud may leave the answers while the burst stays, and come back", () => {
  const wanted = { ...OUT, weights: { onprem: 100 } };
  const stays = [pool(["no-op"]), gate(["no-op"])];
  expect(check([record(["update"], both, onPremOnly), ...stays], { wanted })).toEqual([]);
  expect(check([record(["update"], onPremOnly, both), ...stays])).toEqual([]);
});

test("the way home passes: gate and pool go after the record", () => {
  expect(
    check([record(["update"], both, onPremOnly), gate(["delete"]), pool(["delete"])], { wanted: HOME }),
  ).toEqual([]);
});

test("nothing of anybody else may change, whatever the change is", () => {
  for (const actions of [["create"], ["update"], ["delete"], ["delete", "create"], ["forget"]]) {
    expect(check([record(["no-op"], both, both), change("aws_instance.db", actions, {}, {})])).toEqual([
      "own-resources aws_instance.db",
    ]);
  }
  const moved = { previous_address: "aws_instance.old" };
  expect(check([record(["no-op"], both, both), change("aws_instance.db", ["no-op"], {}, {}, moved)])).toEqual(
    ["own-resources aws_instance.db"],
  );
});

test("the on-premises pool stays as it is, but for its own repair", () => {
  const home = (actions: string[], before: object, after: object | null) =>
    check([
      record(["no-op"], both, both),
      change(
        "spillway_pool.home",
        actions,
        { site: "onprem", name: "shop", ...before },
        after && { site: "onprem", name: "shop", ...after },
      ),
    ]);
  expect(home(["update"], { status: "failed" }, { status: "ready" })).toEqual([]);
  expect(home(["update"], { members: 4 }, { members: 2 })).toEqual(["on-premises-stays spillway_pool.home"]);
  expect(home(["delete"], {}, null)).toEqual(["on-premises-stays spillway_pool.home"]);
  expect(home(["delete", "create"], {}, {})).toEqual(["on-premises-stays spillway_pool.home"]);
});

test("nothing of the cloud is removed while the burst is wanted and users may be there", () => {
  const users = record(["no-op"], both, both);
  expect(check([users, pool(["delete"]), gate(["delete"])])).toEqual([
    "no-removal-in-burst spillway_gate.cloud[0]",
    "no-removal-in-burst spillway_pool.cloud[0]",
  ]);
  expect(check([users, gate(["no-op"]), pool(["create", "delete"])])).toEqual([
    "no-removal-in-burst spillway_pool.cloud[0]",
  ]);
  expect(check([users, change("spillway_image_replica.shop[0]", ["delete", "create"], {}, {})])).toEqual([
    "no-removal-in-burst spillway_image_replica.shop[0]",
  ]);
  expect(check([users, change("spillway_image_replica.shop[0]", ["create", "delete"], {}, {})])).toEqual([]);
});

test("a pool that broke before users were sent to it may be made anew", () => {
  expect(check([record(["update"], onPremOnly, both), pool(["create", "delete"]), gate(["create"])])).toEqual(
    [],
  );
  expect(
    check([
      record(["update"], onPremOnly, both),
      pool(["delete"], { deposed: "00000001" }),
      gate(["create"]),
    ]),
  ).toEqual([]);
});

test("a superseded gate may go at any time", () => {
  expect(check([record(["no-op"], both, both), gate(["delete"], { deposed: "00000001" })])).toEqual([]);
});

test("coming home without create_before_destroy is refused: the gate would go before the record", () => {
  const plan = [record(["update"], both, onPremOnly), gate(["delete"]), pool(["delete"])];
  expect(check(plan, { wanted: HOME, createBeforeDestroy: new Set(["spillway_gate.cloud"]) })).toEqual([
    "record-first spillway_pool.cloud[0]",
  ]);
});

test("gate and pool do not go while the record still sends users to the cloud", () => {
  const plan = [record(["no-op"], both, both), gate(["delete"]), pool(["delete"])];
  expect(check(plan, { wanted: HOME })).toEqual([
    "record-answers spillway_global_record.shop",
    "record-first spillway_gate.cloud[0]",
    "record-first spillway_pool.cloud[0]",
  ]);
});

test("a pool whose gate is gone goes only when it is seen to have no users", () => {
  const plan = [record(["no-op"], onPremOnly, onPremOnly), pool(["delete"])];
  const cloud = (sessions: number, reachable = true) =>
    seen(0, 100, { cloud: siteSeen("cloud", { sessions, reachable }) });
  expect(check(plan, { wanted: HOME, observation: cloud(0) })).toEqual([]);
  expect(check(plan, { wanted: HOME, observation: cloud(1) })).toEqual([
    "guarded-removal spillway_pool.cloud[0]",
  ]);
  expect(check(plan, { wanted: HOME, observation: cloud(0, false) })).toEqual([
    "guarded-removal spillway_pool.cloud[0]",
  ]);
  expect(check(plan, { wanted: HOME, observation: undefined })).toEqual([
    "guarded-removal spillway_pool.cloud[0]",
  ]);
});

test("coming home only removes", () => {
  expect(
    check(
      [
        record(["update"], both, onPremOnly),
        gate(["no-op"]),
        change("spillway_pool.cloud[0]", ["update"], { members: 2 }, { members: 1 }),
      ],
      { wanted: HOME },
    ),
  ).toEqual(["home-only-removes spillway_pool.cloud[0]"]);
});

test("the record is never removed or replaced, and must be known", () => {
  for (const actions of [["delete"], ["delete", "create"], ["create", "delete"], ["forget"]]) {
    expect(check([record(actions, both, actions.includes("create") ? both : null)])).toEqual([
      "record-stays spillway_global_record.shop",
    ]);
  }
  expect(check([])).toEqual(["record-stays spillway_global_record.shop"]);
});

test("the record keeps an answer, and after the way home it is on premises", () => {
  const home = (answers: unknown[]) => check([record(["update"], both, { answers })], { wanted: HOME });
  expect(home([])).toEqual(["record-answers spillway_global_record.shop"]);
  expect(home([answer("onprem", 50), answer("cloud", 50)])).toEqual([
    "record-answers spillway_global_record.shop",
  ]);
  expect(home([answer("elsewhere", 100)])).toEqual(["record-answers spillway_global_record.shop"]);
  expect(check([record(["update"], both, { answers: [] })])).toEqual([
    "record-answers spillway_global_record.shop",
  ]);
});

test("nobody goes home to a place that cannot carry everybody, or that cannot be seen", () => {
  const home = (onPrem: object, rps = 300) =>
    check([record(["update"], both, onPremOnly), gate(["delete"]), pool(["delete"])], {
      wanted: HOME,
      observation: seen(0, rps, { onPrem: siteSeen("onprem", onPrem) }),
    });
  expect(home({ membersUp: 3 })).toEqual([]);
  expect(home({ membersUp: 2 })).toEqual(["healthy-capacity spillway_global_record.shop"]);
  expect(home({ membersUp: 0 }, 0)).toEqual(["healthy-capacity spillway_global_record.shop"]);
  expect(home({ reachable: false })).toEqual(["healthy-capacity spillway_global_record.shop"]);
});

test("a plan that failed half way or is partial is not applied", () => {
  const users = [record(["no-op"], both, both)];
  expect(check(users, { plan_: { errored: true } })).toEqual(["whole-plan the plan"]);
  expect(check(users, { plan_: { complete: false } })).toEqual(["whole-plan the plan"]);
});

test("resources in modules, and with keys of any kind, are told apart by their address", () => {
  const plan = parsePlan({
    format_version: "1.2",
    resource_changes: [
      {
        address: 'module.m["a"].spillway_pool.cloud["x.y"]',
        type: "spillway_pool",
        name: "cloud",
        index: "x.y",
        change: { actions: ["no-op"] },
      },
    ],
  });
  expect(plan.changes[0]?.baseAddress).toBe('module.m["a"].spillway_pool.cloud');
});

const OLD = `sha256:${"0".repeat(64)}`;
const NEW = `sha256:${"1".repeat(64)}`;

test("the image changes only when the parameters name the new one", () => {
  const users = record(["no-op"], both, both);
  const rebuilt = [
    users,
    change("spillway_image_replica.shop[0]", ["create", "delete"], { digest: OLD }, { digest: NEW }),
    change("spillway_pool.cloud[0]", ["update"], { image_digest: OLD }, { image_digest: NEW }),
  ];
  const refused = ["image-stays spillway_image_replica.shop[0]", "image-stays spillway_pool.cloud[0]"];
  expect(check(rebuilt)).toEqual(refused);
  expect(check(rebuilt, { imageDigest: null })).toEqual(refused);
  expect(check(rebuilt, { imageDigest: OLD })).toEqual(refused);
  expect(check(rebuilt, { imageDigest: NEW })).toEqual([]);
  const unknown = {
    change: {
      actions: ["update"],
      before: { image_digest: OLD },
      after: {},
      after_unknown: { image_digest: true },
    },
  };
  expect(check([users, change("spillway_pool.cloud[0]", ["update"], {}, {}, unknown)])).toEqual([
    "image-stays spillway_pool.cloud[0]",
  ]);
  const [refusal] = checkPlan({
    plan: parsePlan({ format_version: "1.2", resource_changes: rebuilt as unknown as JsonObject[] }),
    ...{ manifest: MANIFEST, wanted: OUT, createBeforeDestroy: new Set<string>() },
  });
  expect(refusal?.mend).toBe(
    `The image file was changed, most likely. Put the former one back; or ship the new one on purpose: set \`image_digest\` of \`shop\` to "${NEW}", or run \`terraform apply\` by hand.`,
  );
});

test("other changes of the pool leave the image alone, and what is created on the way out has whichever it has", () => {
  const grown = change(
    "spillway_pool.cloud[0]",
    ["update"],
    { image_digest: OLD, members: 2 },
    { image_digest: OLD, members: 3 },
  );
  expect(check([record(["no-op"], both, both), grown])).toEqual([]);
  const out = [
    record(["update"], onPremOnly, both),
    change("spillway_image_replica.shop[0]", ["create"], null, { digest: NEW }),
    change("spillway_pool.cloud[0]", ["create"], null, { site: "cloud", image_digest: NEW }),
  ];
  expect(check(out)).toEqual([]);
});

test("a cloud that begins with another image than on premises is warned of", () => {
  const warning = (there: object) => {
    const home = { site: "onprem", name: "shop", image_digest: OLD };
    const changes = [
      change("spillway_pool.home", ["no-op"], home, home),
      change("spillway_pool.cloud[0]", ["create"], null, { site: "cloud", name: "shop", ...there }),
    ];
    const plan = parsePlan({ format_version: "1.2", resource_changes: changes as unknown as JsonObject[] });
    return otherImageInCloud(plan, MANIFEST);
  };
  expect(warning({ image_digest: NEW })).toBe(
    `the cloud will run image ${NEW} at cloud, while onprem runs ${OLD}`,
  );
  expect(warning({ image_digest: OLD })).toBeUndefined();
  expect(warning({})).toBeUndefined();
});
