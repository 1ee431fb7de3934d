import type { PriceSource } from "./price-book";

/** What a plan costs, before and after it. Money is of `currency`; a month has 730 hours. */
export interface CostReport {
  readonly currency: string;
  /** What all of the plan's resources cost that can be counted, the untouched too. */
  readonly before: Rate;
  readonly after: Rate;
  /** `after` less `before`, from what changes. */
  readonly change: Rate;
  /** Spent once, by the apply itself. */
  readonly once: number;
  /** By address, then by what it is. */
  readonly lines: readonly CostLine[];
  readonly onceLines: readonly OnceLine[];
  /** What is not known, and so in none of the sums. */
  readonly unknowns: readonly CostUnknown[];
  /** What is charged by use, and not counted. */
  readonly usage: readonly UsagePrice[];
  /** What was assumed, and what else a reader must know. */
  readonly notes: readonly string[];
  /** The tables whose prices were used, by date. */
  readonly tables: readonly PriceSource[];
  /** Does anything of it change, or cost something once? */
  readonly changes: boolean;
  /**
   * How the size of `change` is meant: `at most` with Spot prices or shared blocks in it, `at least` with unknown costs beside it,
   * `about` with neither, or with both.
   */
  readonly bound: "about" | "at least" | "at most";
}

export interface Rate {
  readonly hour: number;
  readonly month: number;
}

export interface CostLine {
  readonly address: string;
  /** `instance m6i.large`. */
  readonly item: string;
  readonly region?: string;
  readonly unit: string;
  readonly unitPrice: number;
  readonly per: "hour" | "month";
  readonly from: PriceSource;
  readonly before: Amount;
  readonly after: Amount;
  /** Why it may be less, never more. */
  readonly ceiling?: string;
  readonly note?: string;
}

export interface Amount {
  readonly quantity: number;
  /** Of the report's currency, an hour. */
  readonly hour: number;
}

export interface OnceLine {
  readonly address: string;
  readonly item: string;
  readonly unit: string;
  readonly quantity: number;
  readonly unitPrice: number;
  readonly from: PriceSource;
  readonly cost: number;
}

export interface CostUnknown {
  readonly address: string;
  readonly item: string;
  readonly why: string;
  readonly mend: string;
  /** How many of it there are; 0: it is not there. */
  readonly before: number;
  readonly after: number;
  /** Spent once, by the apply itself. */
  readonly once: boolean;
}

export interface UsagePrice {
  readonly address: string;
  readonly item: string;
  readonly unit: string;
  readonly unitPrice: number;
  readonly from: PriceSource;
  /** Does it begin with the plan? */
  readonly changes: boolean;
}
