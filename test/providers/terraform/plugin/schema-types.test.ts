import {
  a,
  defineProvider,
  defineResource,
  defineDataSource,
  defineFunction,
  timeouts,
  isUnknown,
  isWhollyKnown,
  PartialApply,
  UNKNOWN,
  type State,
  type Plan,
  type Planned,
  type Config,
  type Unknown,
  type PlanConfig,
} from "../../../../providers/terraform/plugin";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const holds = <_T extends true>() => undefined;

const schema = {
  id: a.string().computed().keepPrior().describe("i"),
  name: a.string().forceNew().describe("n"),
  size: a.integer().default(1).describe("s"),
  note: a.string().optional().describe("n"),
  digest: a.string().optionalComputed().describe("d"),
  secret: a.string().optional().writeOnly().describe("w"),
  listen: a
    .nested({ port: a.number().describe("p"), mode: a.string().default("http").describe("m") })
    .describe("l"),
  answers: a
    .nestedList({ site: a.string().describe("x"), gate: a.string().optional().describe("g") })
    .describe("l"),
  monitor: a
    .nested({ path: a.string().default("/").describe("p"), rise: a.integer().default(2).describe("r") })
    .default({})
    .describe("m"),
  transfer: a
    .nested({ total: a.number().describe("t"), eta: a.number().computed().nullable().describe("e") })
    .computed()
    .describe("t"),
  env: a.map(a.string()).optional().describe("e"),
  timeouts: timeouts({ create: "24h" }),
};
interface Client {
  call(): string;
}

holds<Same<State<typeof schema>["id"], string>>();
holds<Same<State<typeof schema>["note"], string | null>>();
holds<Same<State<typeof schema>["secret"], null>>();
holds<Same<State<typeof schema>["env"], Record<string, string> | null>>();
holds<Same<State<typeof schema>["transfer"], { total: number; eta: number | null }>>();
holds<Same<State<typeof schema>["timeouts"], { create: string | null } | null>>();
holds<Same<Plan<typeof schema>["size"], number | Unknown>>();
holds<Same<Planned<typeof schema>["size"], number>>();
holds<Same<Planned<typeof schema>["digest"], string | Unknown>>();
holds<Same<Config<typeof schema>["size"], number | null>>();
holds<Same<Config<typeof schema>["id"], null>>();
holds<Same<Config<typeof schema>["secret"], string | null>>();
holds<
  Same<
    PlanConfig<typeof schema>["listen"],
    { port: number | Unknown; mode: string | Unknown | null } | Unknown
  >
>();

export const thing = defineResource<Client>()({
  schema,
  description: "x",
  validate({ config, error }) {
    if (!isUnknown(config.listen) && !isUnknown(config.listen.port) && config.listen.port < 0)
      error(["listen", "port"], "bad");
    if (!isUnknown(config.answers)) error(["answers", 0, "gate"], "bad");
    // @ts-expect-error there is no such attribute
    error(["listen", "prot"], "bad");
    // @ts-expect-error there is no such attribute
    error("nme", "bad");
  },
  modifyPlan({ prior, plan, requireReplace }) {
    if (prior && plan.digest !== prior.digest) requireReplace("digest");
    plan.transfer = { total: 3, eta: null };
    plan.id = UNKNOWN;
    if (isWhollyKnown(plan)) plan.name.toUpperCase();
    // @ts-expect-error it may be unknown
    plan.name.toUpperCase();
  },
  async create({ planned, config }, ctx) {
    ctx.client.call();
    if (config.secret === "no") throw new PartialApply<State<typeof schema>>({ id: "x" }, new Error("no"));
    const digest = isUnknown(planned.digest) ? "d" : planned.digest;
    return { ...planned, id: "x", digest, transfer: { total: 1, eta: 2 } };
  },
  read({ state }) {
    return state;
  },
  // @ts-expect-error a computed value is missing
  async update({ planned }) {
    return { ...planned, id: "x", digest: "d" };
  },
  async delete() {},
});
export const data = defineDataSource<Client>()({
  schema: { x: a.string().describe("x"), y: a.number().computed().describe("y") },
  description: "d",
  read: ({ config }) => ({ x: config.x, y: 3 }),
});
export const fn = defineFunction({
  summary: "s",
  description: "d",
  parameters: {
    capacity: a.map(a.number()).describe("c"),
    health: a.map(a.number()).optional().describe("h"),
  },
  returns: a.map(a.number()),
  call: ({ capacity, health }) => ({ ...capacity, ...health }),
});
export const p = defineProvider({
  name: "x",
  version: "1.0.0",
  description: "p",
  config: {
    sites: a
      .nestedMap({ endpoint: a.string().describe("e") })
      .optional()
      .describe("s"),
  },
  configure: (config): Client => ({ call: () => (isUnknown(config.sites) ? "" : String(config.sites)) }),
  resources: { x_thing: thing },
  dataSources: { x_d: data },
  functions: { f: fn },
});

test("a provider is defined from typed parts", () => {
  expect(p.resources.x_thing).toBe(thing);
});

test("mistakes that the compiler finds", () => {
  // @ts-expect-error a default of another type
  a.integer().default("one");
  // @ts-expect-error a default without a required attribute
  a.nested({ port: a.integer(), mode: a.string().default("http") }).default({});
  a.nested({ port: a.integer(), mode: a.string().default("http") }).default({ port: 1 });
  // @ts-expect-error a check of another type
  a.string().check((value: number) => (value > 0 ? undefined : "must be positive"));
  const other = defineDataSource<{ other: number }>()({
    schema: {},
    description: "d",
    read: () => ({}),
  });
  const definition = {
    name: "x",
    version: "1.0.0",
    description: "p",
    config: {},
    configure: (): Client => ({ call: () => "" }),
    resources: {},
  };
  // @ts-expect-error it takes another client than this provider makes
  defineProvider({ ...definition, dataSources: { x_other: other } });
  expect(other.kind).toBe("data-source");
});
