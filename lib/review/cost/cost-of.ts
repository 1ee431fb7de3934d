import type { PlanModel } from "../model";
import { unknown, type Biller, type Charge, type Finding, type Question, type Usage } from "./charge";
import { imageSnapshot, imageTransfer, isRetained } from "./images";
import { autoScalingGroup, instance } from "./instances";
import { alarm, elasticAddress, healthCheck, hostedZone, loadBalancer, NOT_PRICED } from "./others";
import type { PriceBook, PriceSource } from "./price-book";
import { HOURS_PER_MONTH } from "./price-table";
import type { Amount, CostLine, CostReport, CostUnknown, OnceLine, Rate, UsagePrice } from "./report";
import { Stack, type Resource, type Side } from "./stack";
import { ebsSnapshot, ebsVolume } from "./volumes";

export interface CostOptions {
  /** The region of resources whose own the plan does not tell. @default - they are unknown */
  readonly region?: string;
}

const BILLERS: Readonly<Record<string, Biller>> = {
  aws_alb: loadBalancer,
  aws_autoscaling_group: autoScalingGroup,
  aws_cloudwatch_metric_alarm: alarm,
  aws_ebs_snapshot: ebsSnapshot,
  aws_ebs_volume: ebsVolume,
  aws_eip: elasticAddress,
  aws_instance: instance,
  aws_lb: loadBalancer,
  aws_route53_health_check: healthCheck,
  aws_route53_zone: hostedZone,
  spillway_image_replica: imageSnapshot,
};

/** What the resources of a plan cost, before and after it. The same plan and tables give the same report. */
export function costOf(model: PlanModel, prices: PriceBook, options: CostOptions = {}): CostReport {
  const stack = new Stack(model, options.region);
  const lines: CostLine[] = [];
  const onceLines: OnceLine[] = [];
  const unknowns: CostUnknown[] = [];
  const usage: UsagePrice[] = [];
  const notes = new Set<string>();
  for (const resource of stack.resources) {
    const { address } = resource;
    const sides = {
      before: findingsOf(resource, "before", stack, prices),
      after: kept(resource, stack, prices),
    };
    const region = stack.regionOf(resource);
    lines.push(...linesOf(address, region, sides));
    unknowns.push(...unknownsOf(address, sides));
    usage.push(...usageOf(address, sides));
    if (resource.before && !resource.after && isRetained(resource.before)) {
      notes.add(`the snapshot of ${address} is kept at its destruction (retain), and goes on costing`);
    }
    for (const finding of onceOf(resource, stack, prices)) {
      if (finding.kind === "unknown")
        unknowns.push({ ...unknownOf(address, finding), before: 0, after: 1, once: true });
      else if (finding.kind === "charge" && finding.price.amount > 0)
        onceLines.push(onceLine(address, finding));
    }
  }
  const before = sum(lines.map((line) => line.before.hour));
  const after = sum(lines.map((line) => line.after.hour));
  const changing = lines.filter(changesLine);
  const change = sum(changing.map((line) => line.after.hour - line.before.hour));
  for (const { note, ceiling } of changing) {
    for (const text of [note, ceiling]) if (text !== undefined) notes.add(text);
  }
  for (const { name, table } of prices.leftOut) {
    notes.add(`the prices of ${name} are left out: they are in ${table.currency}, not ${prices.currency}`);
  }
  return {
    currency: prices.currency,
    before: rate(before),
    after: rate(after),
    change: rate(change),
    once: round(sum(onceLines.map(({ cost }) => cost))),
    lines,
    onceLines,
    unknowns,
    usage,
    notes: [...notes].sort(),
    tables: tablesOf([...lines, ...onceLines, ...usage]),
    changes: changing.length > 0 || onceLines.length > 0 || unknowns.some(changesUnknown),
    bound: boundOf(changing, unknowns, change),
  };
}

type Sides = Readonly<Record<Side, readonly Finding[]>>;

function findingsOf(resource: Resource, side: Side, stack: Stack, prices: PriceBook): readonly Finding[] {
  const values = resource[side];
  if (!values || resource.mode === "data") return [];
  if (NOT_PRICED.has(resource.type)) {
    return [unknown(resource.type, "its price is not worked out here", "See the price list for it.")];
  }
  const biller = BILLERS[resource.type];
  return biller ? biller(question(resource, side, stack, prices)) : [];
}

function question(resource: Resource, side: Side, stack: Stack, prices: PriceBook): Question {
  const values = resource[side];
  if (!values) throw new Error(`${resource.address} has no side ${side}`);
  return { resource, side, values, region: stack.regionOf(resource), stack, prices };
}

/** What is there after the plan: a destroyed replica's snapshot may stay. */
function kept(resource: Resource, stack: Stack, prices: PriceBook): readonly Finding[] {
  const stays = resource.before && !resource.after && isRetained(resource.before);
  return findingsOf(resource, stays ? "before" : "after", stack, prices);
}

function onceOf(resource: Resource, stack: Stack, prices: PriceBook): readonly Finding[] {
  const made = resource.action === "create" || resource.action === "replace";
  if (!made || !resource.after || resource.type !== "spillway_image_replica") return [];
  return imageTransfer(question(resource, "after", stack, prices));
}

/** Charges of both sides, paired by what they are: a type that gives way to another is two lines. */
function linesOf(address: string, region: string | undefined, sides: Sides): CostLine[] {
  const paired = new Map<string, { before?: Charge; after?: Charge }>();
  for (const side of ["before", "after"] as const) {
    for (const charge of merged(sides[side])) {
      const key = keyOf(charge);
      const pair = paired.get(key) ?? {};
      pair[side] = charge;
      paired.set(key, pair);
    }
  }
  return [...paired].sort(byKey).flatMap(([, { before, after }]) => {
    const told = after ?? before;
    if (!told) return [];
    const { item, unit, per, price, ceiling, note } = told;
    return {
      address,
      item,
      ...(region === undefined ? {} : { region }),
      unit,
      unitPrice: price.amount,
      per,
      from: price.from,
      before: amount(before),
      after: amount(after),
      ...(ceiling === undefined ? {} : { ceiling }),
      ...(note === undefined ? {} : { note }),
    };
  });
}

function keyOf({ item, unit, per, price }: Charge): string {
  return [item, unit, per, price.amount].join("\n");
}

/** Like charges of one resource (two volumes of a type) are one. */
function merged(findings: readonly Finding[]): Charge[] {
  const found = new Map<string, Charge>();
  for (const finding of findings) {
    if (finding.kind !== "charge") continue;
    const key = keyOf(finding);
    const earlier = found.get(key);
    const quantity = (earlier?.quantity ?? 0) + finding.quantity;
    found.set(key, { ...finding, quantity });
  }
  return [...found.values()];
}

function amount(charge: Charge | undefined): Amount {
  if (!charge) return { quantity: 0, hour: 0 };
  const { quantity, price, per } = charge;
  const cost = quantity * price.amount;
  return { quantity: round(quantity), hour: per === "hour" ? cost : cost / HOURS_PER_MONTH };
}

function unknownsOf(address: string, sides: Sides): CostUnknown[] {
  const paired = new Map<string, CostUnknown>();
  for (const side of ["before", "after"] as const) {
    for (const finding of sides[side]) {
      if (finding.kind !== "unknown") continue;
      const key = [finding.item, finding.why, finding.mend].join("\n");
      const pair = paired.get(key) ?? { ...unknownOf(address, finding), before: 0, after: 0, once: false };
      paired.set(key, { ...pair, [side]: pair[side] + finding.quantity });
    }
  }
  // None of it (a group without members) costs nothing.
  return [...paired]
    .sort(byKey)
    .map(([, each]) => each)
    .filter(({ before, after }) => before > 0 || after > 0);
}

function usageOf(address: string, sides: Sides): UsagePrice[] {
  const told = (side: Side) => sides[side].filter((each): each is Usage => each.kind === "usage");
  const before = new Set(told("before").map(({ item }) => item));
  return told("after").map(({ item, unit, price }) => ({
    address,
    item,
    unit,
    unitPrice: price.amount,
    from: price.from,
    changes: !before.has(item),
  }));
}

function unknownOf(address: string, { item, why, mend }: Extract<Finding, { kind: "unknown" }>) {
  return { address, item, why, mend };
}

function onceLine(address: string, { item, unit, quantity, price }: Charge): OnceLine {
  const cost = quantity * price.amount;
  return { address, item, unit, quantity: round(quantity), unitPrice: price.amount, from: price.from, cost };
}

function tablesOf(priced: readonly { readonly from: PriceSource }[]): PriceSource[] {
  const found = new Map(priced.map(({ from }) => [JSON.stringify([from.date, from.name]), from]));
  return [...found].sort(byKey).map(([, from]) => from);
}

function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** What may be otherwise makes the sum higher or lower than it is counted: told of its size. */
function boundOf(
  changing: readonly CostLine[],
  unknowns: readonly CostUnknown[],
  change: number,
): CostReport["bound"] {
  const bounded = changing.filter((line) => line.ceiling !== undefined);
  const lasting = unknowns.filter(({ once }) => !once);
  const higher =
    lasting.some((each) => each.after > each.before) || bounded.some((line) => differenceOf(line) < 0);
  const lower =
    lasting.some((each) => each.after < each.before) || bounded.some((line) => differenceOf(line) > 0);
  if (higher === lower) return "about";
  return higher === change > 0 ? "at least" : "at most";
}

function differenceOf({ before, after }: CostLine): number {
  return after.hour - before.hour;
}

/** Does a line cost another amount after the plan? */
export function changesLine({ before, after }: CostLine): boolean {
  return round(before.hour) !== round(after.hour);
}

/** Is there more or less of it after the plan? */
export function changesUnknown({ before, after }: CostUnknown): boolean {
  return before !== after;
}

function rate(hour: number): Rate {
  return { hour: round(hour), month: round(hour * HOURS_PER_MONTH) };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** Sums of decimal prices are not exact in binary. */
function round(value: number): number {
  return Math.round(value * 1e8) / 1e8 + 0;
}
