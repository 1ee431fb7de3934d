import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parsePlan, type JsonObject, type JsonValue, type PlanModel } from "../../../../lib/review";
import { costOf, PriceBook, type CostReport, type PriceTable } from "../../../../lib/review/cost";
import { builtInPrices } from "../../../../providers/aws/prices";

/** The JSON of a plan that real Terraform made, with the real AWS provider. */
export function fixture(name: "fresh" | "out" | "more" | "same" | "home" | "image"): string {
  return readFileSync(join(__dirname, "fixtures", `${name}.json`), "utf8");
}

export const BUILT_IN = new PriceBook([builtInPrices()]);

/** A table of round prices. */
export const ROUND: PriceTable = {
  format: 1,
  date: "2026-01-19",
  currency: "USD",
  everywhere: {
    healthCheckMonth: { aws: 73, other: 146, awsOption: 730, otherOption: 1460 },
    hostedZoneMonth: 7.3,
    alarmMonth: 7.3,
    metricMonth: 0.73,
  },
  regions: {
    "eu-central-1": {
      instances: { "m6i.large": 1, "m5.large": 2, "t3.small": 0.25 },
      volumes: { gp3: { gbMonth: 7.3, iopsMonth: 0.73, throughputMonth: 0.73 }, gp2: { gbMonth: 14.6 } },
      snapshotGbMonth: 0.73,
      snapshotPutPer1000: 0.01,
      loadBalancers: { application: { hour: 0.5, capacityUnitHour: 0.25 }, network: { hour: 0.75 } },
      publicIpv4Hour: 0.125,
      dataInGb: 0,
      dataOutGb: 0.1,
    },
    "us-east-1": { instances: { "m6i.large": 0.5 } },
  },
};

export const ROUND_BOOK = new PriceBook([{ name: "round", table: ROUND }]);

/** One resource of a plan, by what it is before and after. */
export interface Change {
  readonly address: string;
  readonly before?: JsonObject;
  readonly after?: JsonObject;
  /** Where of the configuration it refers to: `launch_template.id`. */
  readonly references?: Readonly<Record<string, readonly string[]>>;
  readonly provider?: string;
  readonly actions?: readonly string[];
}

/** The JSON of a plan with these changes, as Terraform prints it. */
export function planOf(changes: readonly Change[], region: string | undefined = "eu-central-1"): JsonObject {
  const constant: JsonObject = region === undefined ? {} : { region: { constant_value: region } };
  return {
    format_version: "1.2",
    terraform_version: "1.11.4",
    resource_changes: changes.map(({ address, before, after, actions }) => ({
      address,
      mode: "managed",
      type: typeOf(address),
      name: "it",
      change: {
        actions: actions ?? actionsOf(before, after),
        before: before ?? null,
        after: after ?? null,
        after_unknown: {},
      },
    })),
    configuration: {
      provider_config: { aws: { name: "aws", expressions: constant } },
      root_module: {
        resources: changes.map(({ address, references = {}, provider = "aws" }) => ({
          address: address.replace(/\[.*\]$/, ""),
          type: typeOf(address),
          provider_config_key: provider,
          expressions: expressionsOf(references),
        })),
      },
    },
  };
}

export function modelOf(changes: readonly Change[], region?: string): PlanModel {
  return parsePlan(planOf(changes, region));
}

/** What these changes cost at round prices. */
export function roundCost(changes: readonly Change[], book: PriceBook = ROUND_BOOK): CostReport {
  return costOf(modelOf(changes), book);
}

/** The same change the other way round. */
export function reversed({ before, after, ...rest }: Change): Change {
  return { ...rest, ...(after ? { before: after } : {}), ...(before ? { after: before } : {}) };
}

function typeOf(address: string): string {
  return address.split(".").at(-2) ?? address;
}

function actionsOf(before: JsonObject | undefined, after: JsonObject | undefined): string[] {
  if (!before) return ["create"];
  if (!after) return ["delete"];
  return JSON.stringify(before) === JSON.stringify(after) ? ["no-op"] : ["update"];
}

function expressionsOf(references: Readonly<Record<string, readonly string[]>>): JsonObject {
  const found: Record<string, JsonValue> = {};
  for (const [path, names] of Object.entries(references)) {
    const [first = path, ...rest] = path.split(".");
    let value: JsonValue = { references: names };
    for (const step of rest.reverse()) value = [{ [step]: value }];
    found[first] = value;
  }
  return found;
}

export const TEMPLATE = {
  id: "lt-1",
  name: "shop",
  latest_version: 1,
  instance_type: "m6i.large",
  block_device_mappings: [{ device_name: "/dev/xvda", ebs: [{ volume_size: 10, volume_type: "gp3" }] }],
} as const satisfies JsonObject;

/** A group of so many members of a template that stands. */
export function group(members: number, more: JsonObject = {}): JsonObject {
  return {
    id: "shop",
    min_size: 0,
    max_size: 10,
    desired_capacity: members,
    launch_template: [{ id: "lt-1", name: "shop", version: "$Latest" }],
    mixed_instances_policy: [],
    warm_pool: [],
    ...more,
  };
}

export const STANDING: Change = {
  address: "aws_launch_template.pool",
  before: TEMPLATE,
  after: TEMPLATE,
};

/** A resource that the plan makes. */
export const made = (address: string, after: JsonObject, more: Partial<Change> = {}): Change => ({
  address,
  after,
  ...more,
});
export const GROUP = "aws_autoscaling_group.pool";

/** `item: quantity after` of what is charged. */
export function after(report: CostReport): Record<string, number> {
  return Object.fromEntries(
    report.lines.filter((line) => line.after.quantity > 0).map((line) => [line.item, line.after.quantity]),
  );
}

/** `item: why` of what is not known. */
export function unknowns(report: CostReport): Record<string, string> {
  return Object.fromEntries(report.unknowns.map(({ item, why }) => [item, why]));
}
