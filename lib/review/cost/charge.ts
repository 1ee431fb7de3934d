import type { Price, PriceBook } from "./price-book";
import type { Resource, Side, Stack } from "./stack";
import type { Values } from "./values";

/** Something that costs as long as it exists. */
export interface Charge {
  readonly kind: "charge";
  /** `instance m6i.large`, `volume gp3`. */
  readonly item: string;
  readonly quantity: number;
  /** Of the quantity: `instances`, `GB`. */
  readonly unit: string;
  readonly price: Price;
  /** What the price is for. */
  readonly per: "hour" | "month";
  /** It may be less, never more: why. */
  readonly ceiling?: string;
  readonly note?: string;
}

/** Something whose cost cannot be told. It is listed, and counts as nothing but itself: never as 0. */
export interface Unknown {
  readonly kind: "unknown";
  readonly item: string;
  /** So that more of it is a change too. */
  readonly quantity: number;
  readonly why: string;
  readonly mend: string;
}

/** Something that is charged by use of which a plan knows nothing: told with its price, not counted. */
export interface Usage {
  readonly kind: "usage";
  readonly item: string;
  readonly price: Price;
  /** `GB`. */
  readonly unit: string;
}

export type Finding = Charge | Unknown | Usage;

/** What one side of a plan's resource costs. */
export type Biller = (question: Question) => readonly Finding[];

export interface Question {
  readonly resource: Resource;
  readonly side: Side;
  readonly values: Values;
  readonly region: string | undefined;
  readonly stack: Stack;
  readonly prices: PriceBook;
}

const MEND_TABLE = "Add it to a price table of your own: `spillway review --prices FILE`.";

/** What a charge is told by, without its price. */
export interface Measure {
  readonly item: string;
  readonly quantity: number;
  readonly unit: string;
  readonly per: "hour" | "month";
  readonly ceiling?: string;
  readonly note?: string;
}

/** A charge at a price of the resource's region, or that the price is not known. */
export function charge(question: Question, measure: Measure, ...path: readonly string[]): Finding {
  const { region, prices } = question;
  if (region === undefined) return unknownRegion(measure);
  const price = prices.find("regions", region, ...path);
  if (price) return { kind: "charge", ...measure, price };
  const what = prices.hasRegion(region)
    ? `the price table has no ${path.join(".")} in ${region}`
    : `the price table has no region ${region}`;
  return unknown(measure.item, what, MEND_TABLE, measure.quantity);
}

/** A charge at a price that is the same everywhere, or that the price is not known. */
export function chargeEverywhere(
  { prices }: Question,
  measure: Measure,
  ...path: readonly string[]
): Finding {
  const price = prices.find("everywhere", ...path);
  if (price) return { kind: "charge", ...measure, price };
  const why = `the price table has no everywhere.${path.join(".")}`;
  return unknown(measure.item, why, MEND_TABLE, measure.quantity);
}

export function unknown(item: string, why: string, mend: string, quantity = 1): Unknown {
  return { kind: "unknown", item, quantity, why, mend };
}

function unknownRegion({ item, quantity }: Measure): Unknown {
  return unknown(
    item,
    "the plan does not tell its region",
    "Set `region` in the provider's block, or name it: `spillway review --region REGION`.",
    quantity,
  );
}

/** The same for so many: of each finding's quantity. */
export function times(count: number, findings: readonly Finding[]): Finding[] {
  return findings.map((finding) =>
    finding.kind === "usage" ? finding : { ...finding, quantity: finding.quantity * count },
  );
}
