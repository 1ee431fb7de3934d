import {
  a,
  defineProvider,
  defineResource,
  timeouts,
  type Attributes,
} from "../../../../../providers/terraform/plugin";

const provider = (schema: Attributes, version?: number, update = true) =>
  defineProvider({
    name: "shop",
    version: "1.0.0",
    description: "d",
    config: {},
    configure: () => null,
    resources: {
      shop_x: defineResource<null>()({
        schema,
        description: "d",
        version,
        create: () => ({}),
        read: ({ state }) => state,
        ...(update ? { update: () => ({}) } : {}),
        delete: () => undefined,
      }),
    },
  });

test.each<[string, Attributes, string]>([
  ["a missing description", { x: a.string() }, "shop_x.x: has no description"],
  ["an upper-case name", { theName: a.string().describe("d") }, "shop_x.theName: names are lower-case"],
  [
    "a name that Terraform keeps",
    { count: a.string().describe("d") },
    "shop_x.count: Terraform keeps this name",
  ],
  [
    "a secret in a set",
    { s: a.nestedSet({ p: a.string().optional().writeOnly().describe("d") }).describe("d") },
    "shop_x.s.p: write-only",
  ],
  ["a dynamic element", { s: a.list(a.dynamic()).describe("d") }, "shop_x.s: elements cannot be dynamic"],
  [
    "an optional element",
    { s: a.list(a.string().optional()).describe("d") },
    "shop_x.s: an element cannot be optional",
  ],
  ["objects in a plain list", { s: a.list(a.nested({})).describe("d") }, "shop_x.s: use nestedList"],
  [
    "a timeouts attribute of another name",
    { limits: timeouts({ create: "1m" }) },
    "shop_x.limits: timeouts belong to a resource, under the name timeouts",
  ],
  [
    "a default that does not fit",
    {
      s: a
        .nested({ n: a.string().describe("d") })
        .default({} as never)
        .describe("d"),
    },
    "shop_x.s: its default does not fit: `n` must be given",
  ],
])("%s is found when the provider is defined", (_, schema, mistake) => {
  expect(() => provider(schema)).toThrow(mistake);
});

test("all mistakes are told at once", () => {
  expect(() => provider({ a: a.string(), b: a.string() })).toThrow(/shop_x\.a: .*\n- shop_x\.b: /);
});

test("a resource without an update must force a new one for whatever can change", () => {
  expect(() => provider({ x: a.string().describe("d") }, 0, false)).toThrow("shop_x.x: can change in place");
  expect(() => provider({ x: a.string().forceNew().describe("d") }, 0, false)).not.toThrow();
});

test("every older version of a state has an upgrade", () => {
  expect(() => provider({}, 2)).toThrow(/no upgrade from 0\n- .*no upgrade from 1/);
});
