import { mkdirSync, readFileSync, rmSync, writeFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import {
  a,
  ArgumentError,
  Decimal,
  defineDataSource,
  defineFunction,
  defineProvider,
  defineResource,
  Diagnostic,
  isUnknown,
  PartialApply,
  timeouts,
  UNKNOWN,
  type Planned,
  type State,
} from "../../../../../providers/terraform/plugin";
import { SpillwayError } from "../../../../../lib/errors";
import { sleep } from "../../../../../lib/wait";

/** Keeps each thing as a JSON file in a directory, so that tests see from outside what the provider did. */
export class Store {
  constructor(readonly directory: string) {}

  private file(id: string): string {
    return join(this.directory, `${id}.json`);
  }
  put(id: string, value: object): void {
    mkdirSync(this.directory, { recursive: true });
    writeFileSync(
      this.file(id),
      JSON.stringify(value, (_, part: unknown) => (typeof part === "bigint" ? `${part}` : part)),
    );
  }
  get(id: string): Record<string, unknown> | undefined {
    if (!existsSync(this.file(id))) return undefined;
    return JSON.parse(readFileSync(this.file(id), "utf8")) as Record<string, unknown>;
  }
  remove(id: string): void {
    rmSync(this.file(id), { force: true });
  }
}

const schema = {
  id: a.string().computed().keepPrior().describe("Made up by the shop."),
  name: a
    .string()
    .forceNew()
    .check((name) =>
      /^[a-z0-9-]+$/.test(name) ? undefined : "must be lower-case letters, digits and dashes",
    )
    .describe("Its name."),
  size: a
    .integer()
    .default(1)
    .check((size) =>
      size >= 1 ? undefined : { problem: "must be at least 1", mend: "A server needs a unit." },
    )
    .describe("Units."),
  note: a.string().optional().describe("Anything."),
  image: a.string().optionalComputed().keepPrior().describe("What it runs."),
  price: a.decimal().optional().describe("Exact."),
  count_all: a.bigint().optional().describe("Exact and large."),
  ratio: a.number().optional().describe("A double."),
  password: a.string().optional().writeOnly().describe("Never kept."),
  password_version: a.integer().optional().describe("Change it to set the password anew."),
  token: a.string().optional().sensitive().describe("Not shown."),
  listen: a
    .nested({
      address: a.string().default("127.0.0.1").describe("Where."),
      port: a
        .integer()
        .check((port) => (port > 0 && port < 65_536 ? undefined : "must be a port"))
        .describe("TCP port."),
    })
    .optional()
    .describe("Where it listens."),
  monitor: a
    .nested({
      path: a.string().default("/").describe("Path."),
      rise: a.integer().default(2).describe("Good answers in a row."),
      window: a
        .nested({ seconds: a.number().default(1.5).describe("Its length.") })
        .default({})
        .describe("When it looks."),
    })
    .default({})
    .describe("How it is watched."),
  disks: a
    .nestedList({
      size: a.integer().describe("Gigabytes."),
      mount: a.string().default("/data").describe("Where."),
      serial: a.string().computed().keepPrior().describe("Made up by the shop."),
      kind: a.string().default("ssd").forceNew().describe("What it is made of."),
    })
    .optional()
    .describe("Its disks."),
  links: a
    .nestedMap({
      target: a.string().describe("Where to."),
      weight: a.integer().default(1).describe("How much."),
    })
    .optional()
    .describe("Its links."),
  users: a
    .nestedSet({
      name: a.string().describe("Who."),
      shell: a.string().default("/bin/sh").describe("With what."),
    })
    .optional()
    .describe("Who may use it."),
  tags: a.map(a.string()).optional().describe("Tags."),
  zones: a
    .set(a.string().check((zone) => (zone === "nowhere" ? "must be a zone" : undefined)))
    .optional()
    .describe("Zones."),
  ports: a.list(a.number()).optional().describe("Ports."),
  anything: a.dynamic().optional().describe("Any value."),
  revision: a.integer().computed().describe("Counts the changes."),
  cost: a
    .nested({
      total: a.number().describe("Known in the plan."),
      eta: a.string().computed().nullable().describe("May be null."),
    })
    .computed()
    .keepPrior()
    .describe("What it costs."),
  behave: a.string().optional().describe("What goes wrong: for tests."),
  timeouts: timeouts({ create: "20m", update: "20m", delete: "20m" }),
};

type Schema = typeof schema;
/** What of a server is kept outside, in a form that JSON holds. */
export type Kept = { image: string; revision: number; disks: { serial: string }[] | null };

async function misbehave(behave: string | null, signal: AbortSignal, store: Store): Promise<void> {
  switch (behave) {
    case "fail":
      throw new SpillwayError({
        place: "shop/server",
        problem: "the port is taken, got 80",
        mend: "Choose another",
        attribute: ["listen", "port"],
      });
    case "hang":
      store.put("hanging", {});
      await sleep(600_000, signal);
      return;
    case "crash":
      setImmediate(() => {
        throw new RangeError("the shop burnt down");
      });
      await sleep(60_000);
      return;
    case "defect":
      (undefined as unknown as { shop(): void }).shop();
  }
}

function kept(planned: Planned<Schema>, id: string, revision: number): State<Schema> {
  return {
    ...planned,
    id,
    image: isUnknown(planned.image) ? "plain" : planned.image,
    revision,
    disks:
      planned.disks?.map((disk, index) => ({
        ...disk,
        serial: isUnknown(disk.serial) ? `${id}-${index}` : disk.serial,
      })) ?? null,
    cost: { total: planned.size * 10, eta: null },
  };
}

export const server = defineResource<Store>()({
  schema,
  description: "A server of the shop.",
  version: 2,
  validate({ config, error }) {
    if (config.name === "forbidden") error("name", "This name is forbidden", "Take another.");
    if (config.name === "warned") return;
    if (isUnknown(config.disks) || config.disks === null) return;
    config.disks.forEach((disk, index) => {
      if (!isUnknown(disk) && disk.size === 13) error(["disks", index, "size"], "Thirteen brings bad luck");
    });
  },
  modifyPlan({ prior, config, plan, requireReplace, error }, ctx) {
    if (!isUnknown(plan.size)) plan.cost = { total: plan.size * 10, eta: null };
    if (prior && plan.image !== prior.image) requireReplace("image");
    if (config.note === "too much" && typeof plan.size === "number" && plan.size > 100) {
      error("size", `\`size\` is more than the shop has, got ${plan.size}`);
    }
    if (config.note === "costly") ctx.warn("This is costly", { path: ["size"] });
    if (prior === null) ctx.privateState.set("planned", "yes");
  },
  planDestroy({ prior }, ctx) {
    if (prior.note === "dear") ctx.warn("A dear server goes away");
    if (prior.note === "kept")
      throw new Diagnostic({ summary: "It is to be kept", detail: "Change its note first." });
  },
  async create({ planned, config }, ctx) {
    const id = `s-${planned.name}`;
    if (config.password !== null) ctx.client.put(`password-${planned.name}`, { password: config.password });
    if (config.behave === "partial") {
      ctx.client.put(id, { partial: true });
      throw new PartialApply<State<Schema>>({ id }, new Diagnostic({ summary: "Half made", path: ["name"] }));
    }
    await misbehave(config.behave, ctx.signal, ctx.client);
    const state = kept(planned, id, 1);
    ctx.client.put(id, { ...state, privatePlanned: ctx.privateState.get("planned") ?? null });
    ctx.privateState.set("etag", { revision: 1 });
    ctx.log("info", "server made", { id });
    if (config.behave === "no id") return { ...state, id: null as unknown as string };
    return state;
  },
  read({ state }, ctx) {
    const found = ctx.client.get(state.id);
    if (!found) return null;
    return typeof found.revision === "number" ? { ...state, revision: found.revision } : state;
  },
  async update({ prior, planned, config }, ctx) {
    const etag = ctx.privateState.get("etag") as { revision: number } | undefined;
    await misbehave(config.behave, ctx.signal, ctx.client);
    if (config.behave === "partial") {
      throw new PartialApply<State<Schema>>(
        { ...prior, note: "half way" },
        new Error("the update broke off"),
      );
    }
    const state = kept(planned, prior.id, prior.revision + 1);
    ctx.client.put(prior.id, { ...state, etagBefore: etag ?? null });
    ctx.privateState.set("etag", { revision: state.revision });
    return state;
  },
  async delete({ state }, ctx) {
    if (state.note === "sticky") throw new Diagnostic({ summary: "It does not go away" });
    if (state.note === "slow") {
      ctx.client.put("hanging", {});
      await sleep(600_000, ctx.signal);
    }
    ctx.client.remove(state.id);
  },
  importState({ id }, ctx) {
    const found = ctx.client.get(id);
    if (!found) return null;
    const { privatePlanned: _p, etagBefore: _e, ...state } = found as Record<string, never>;
    return { ...(state as unknown as State<Schema>), price: null, count_all: null };
  },
  upgrade: {
    0: (old) => ({
      ...EMPTY,
      id: String(old.id),
      name: String(old.title),
      size: Number(old.size),
      count_all: big(old.count_all),
      cost: { total: Number(old.size) * 10, eta: null },
    }),
    1: (old) => ({
      ...EMPTY,
      id: String(old.id),
      name: String(old.name),
      size: Number(old.size),
      count_all: big(old.count_all),
      cost: { total: Number(old.size) * 10, eta: null },
    }),
  },
  moveState({ sourceType, state }) {
    if (sourceType !== "terraform_data") return undefined;
    const name = (state.input as { value: { name: string } }).value.name;
    return { ...EMPTY, id: `s-${name}`, name };
  },
});

const big = (value: unknown): bigint | null =>
  value === undefined || value === null ? null : BigInt(String(value));

const EMPTY: State<Schema> = {
  id: "",
  name: "",
  size: 1,
  note: null,
  image: "plain",
  price: null,
  count_all: null,
  ratio: null,
  password: null,
  password_version: null,
  token: null,
  listen: null,
  monitor: { path: "/", rise: 2, window: { seconds: 1.5 } },
  disks: null,
  links: null,
  users: null,
  tags: null,
  zones: null,
  ports: null,
  anything: null,
  revision: 1,
  cost: { total: 10, eta: null },
  behave: null,
  timeouts: null,
};

/** Only `forceNew` attributes: it has no update. */
export const ticket = defineResource<Store>()({
  schema: {
    id: a.string().computed().describe("Made up by the shop."),
    subject: a.string().forceNew().describe("What it is about."),
  },
  description: "A ticket.",
  create: ({ planned }) => ({ ...planned, id: `t-${planned.subject}` }),
  read: ({ state }) => state,
  delete: () => undefined,
});

export const price = defineDataSource<Store>()({
  schema: {
    item: a.string().describe("What."),
    amount: a.decimal().computed().describe("How much."),
    offers: a
      .nestedMap({ amount: a.number().describe("How much.") })
      .computed()
      .describe("By shop."),
  },
  description: "What an item costs.",
  validate({ config, error }) {
    if (config.item === "love") error("item", "It has no price");
  },
  read({ config }, ctx) {
    if (config.item === "free") throw new Diagnostic({ summary: "There is no free lunch", path: ["item"] });
    ctx.log("debug", "price asked");
    return { item: config.item, amount: Decimal.of("0.1"), offers: { near: { amount: 3 } } };
  },
});

export const sum = defineFunction({
  summary: "Adds up",
  description: "Adds up all values of a map.",
  parameters: {
    values: a.map(a.number()).describe("What to add."),
    base: a.number().optional().describe("To add them to."),
  },
  returns: a.number(),
  call({ values, base }) {
    for (const [name, value] of Object.entries(values)) {
      if (value < 0) throw new ArgumentError("values", `${name} must not be negative, got ${value}`);
    }
    return Object.values(values).reduce((total, value) => total + value, base ?? 0);
  },
});

export const shop = defineProvider({
  name: "shop",
  version: "1.2.3",
  description: "A shop for tests.",
  config: {
    directory: a.string().describe("Where everything is kept."),
    slow: a.bool().optional().describe("For tests."),
  },
  validate({ config, error }) {
    if (config.directory === "") error("directory", "`directory` must not be empty");
  },
  configure(config) {
    if (isUnknown(config.directory)) return new Store("/not/known/yet");
    if (config.directory === "/forbidden") {
      throw new Diagnostic({ summary: "The store cannot be there", path: ["directory"] });
    }
    return new Store(config.directory);
  },
  resources: { shop_server: server, shop_ticket: ticket },
  dataSources: { shop_price: price },
  functions: { sum },
});

export { UNKNOWN };
