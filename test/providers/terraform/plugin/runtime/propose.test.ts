import { a, UNKNOWN, timeouts, type Attributes } from "../../../../../providers/terraform/plugin";
import { forcedReplacements, proposePlan } from "../../../../../providers/terraform/plugin/runtime/propose";
import type { RawObject } from "../../../../../providers/terraform/plugin/values/raw";

const schema: Attributes = {
  id: a.string().computed().keepPrior(),
  name: a.string().forceNew(),
  size: a.number().default(1),
  note: a.string().optional(),
  image: a.string().optionalComputed(),
  revision: a.number().computed(),
  secret: a.string().writeOnly(),
  disks: a
    .nestedList({ size: a.number(), serial: a.string().computed().keepPrior(), seen: a.string().computed() })
    .optional(),
  users: a.nestedSet({ name: a.string(), uid: a.number().computed().keepPrior() }).optional(),
  links: a.nestedMap({ to: a.string().forceNew(), kind: a.string().default("soft") }).optional(),
  monitor: a.nested({ path: a.string().default("/"), last: a.string().computed() }).default({}),
  timeouts: timeouts({ create: "1m" }),
};

const config = (values: RawObject): RawObject => ({ name: "a", secret: "s", ...values });

const PRIOR: RawObject = {
  id: "i",
  name: "a",
  size: 1,
  note: null,
  image: "img",
  revision: 7,
  secret: null,
  disks: null,
  users: null,
  links: null,
  monitor: { path: "/", last: "now" },
  timeouts: null,
};

test("a create takes the configuration, then defaults, and leaves open what the provider computes", () => {
  expect(proposePlan(schema, config({ disks: [{ size: 3 }] }), null)).toEqual({
    id: UNKNOWN,
    name: "a",
    size: 1,
    note: null,
    image: UNKNOWN,
    revision: UNKNOWN,
    secret: null,
    disks: [{ size: 3, serial: UNKNOWN, seen: UNKNOWN }],
    users: null,
    links: null,
    monitor: { path: "/", last: UNKNOWN },
    timeouts: null,
  });
});

test("without a change everything stays as it was", () => {
  expect(proposePlan(schema, config({}), PRIOR)).toEqual(PRIOR);
});

test("a change opens what is computed, but for what is kept", () => {
  const planned = proposePlan(schema, config({ size: 2, monitor: { path: "/x" } }), PRIOR);
  expect(planned).toMatchObject({
    id: "i",
    size: 2,
    image: UNKNOWN,
    revision: UNKNOWN,
    monitor: { path: "/x", last: UNKNOWN },
  });
});

test("a kept value that was null may still get a value", () => {
  expect(proposePlan(schema, config({ size: 2 }), { ...PRIOR, id: null }).id).toBe(UNKNOWN);
});

test("other timeouts alone open nothing", () => {
  const plain: Attributes = {
    id: schema.id!,
    name: schema.name!,
    revision: schema.revision!,
    timeouts: schema.timeouts!,
  };
  const prior = { id: "i", name: "a", revision: 7, timeouts: null };
  expect(proposePlan(plain, { name: "a", timeouts: { create: "2m" } }, prior)).toEqual({
    ...prior,
    timeouts: { create: "2m" },
  });
});

test("list elements keep what was computed by position, map elements by key, set elements by what they are", () => {
  const prior: RawObject = {
    ...PRIOR,
    disks: [
      { size: 1, serial: "one", seen: "x" },
      { size: 2, serial: "two", seen: "x" },
    ],
    users: [
      { name: "adam", uid: 1 },
      { name: "eve", uid: 2 },
    ],
    links: { up: { to: "b", kind: "hard" } },
  };
  const planned = proposePlan(
    schema,
    config({
      disks: [{ size: 9 }, { size: 2 }, { size: 3 }],
      users: [{ name: "zoe" }, { name: "eve" }],
      links: { up: { to: "b" }, down: { to: "c" } },
    }),
    prior,
  );
  expect(planned.disks).toEqual([
    { size: 9, serial: "one", seen: UNKNOWN },
    { size: 2, serial: "two", seen: UNKNOWN },
    { size: 3, serial: UNKNOWN, seen: UNKNOWN },
  ]);
  expect(planned.users).toEqual([
    { name: "zoe", uid: UNKNOWN },
    { name: "eve", uid: 2 },
  ]);
  expect(planned.links).toEqual({ up: { to: "b", kind: "soft" }, down: { to: "c", kind: "soft" } });
});

test("what is unknown in the configuration is unknown in the plan, whole or in part", () => {
  const planned = proposePlan(
    schema,
    config({ note: UNKNOWN, disks: UNKNOWN, monitor: { path: UNKNOWN }, users: [{ name: UNKNOWN }] }),
    PRIOR,
  );
  expect(planned).toMatchObject({
    note: UNKNOWN,
    disks: UNKNOWN,
    monitor: { path: UNKNOWN },
    users: [{ name: UNKNOWN }],
  });
});

test("a replacement is forced by exactly the marked attributes that change", () => {
  const prior: RawObject = {
    ...PRIOR,
    links: { up: { to: "b", kind: "soft" }, old: { to: "z", kind: "soft" } },
  };
  const paths = (values: RawObject) => forcedReplacements(schema, { ...prior, ...values }, prior);
  expect(paths({})).toEqual([]);
  expect(paths({ size: 4, image: "x" })).toEqual([]);
  expect(paths({ name: "b" })).toEqual([["name"]]);
  expect(paths({ name: UNKNOWN })).toEqual([["name"]]);
  expect(paths({ links: { up: { to: "c", kind: "soft" } } })).toEqual([["links", "up", "to"]]);
  expect(paths({ links: { up: { to: "b", kind: "hard" } } })).toEqual([]);
  expect(paths({ links: null })).toEqual([]);
});
