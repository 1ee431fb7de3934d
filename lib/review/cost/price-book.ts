import type { Assumptions, PriceTable } from "./price-table";

/** Where a price is from. */
export interface PriceSource {
  /** What the table is called: a file's name, or `built in`. */
  readonly name: string;
  readonly date: string;
  /** The table's own word on where its prices are from. */
  readonly source?: string;
}

export interface Price {
  readonly amount: number;
  readonly from: PriceSource;
}

/** A table and what it is called. */
export interface NamedTable {
  readonly name: string;
  readonly table: PriceTable;
}

/**
 * Price tables, the first one first: each price is the first table's that has it. Prices are of the first table's currency; tables of
 * another one are left out.
 */
export class PriceBook {
  readonly currency: string;
  readonly tables: readonly NamedTable[];
  /** Tables left out, since their prices are of another currency. */
  readonly leftOut: readonly NamedTable[];

  /** @param tables at least one */
  constructor(tables: readonly [NamedTable, ...NamedTable[]]) {
    this.currency = tables[0].table.currency;
    this.tables = tables.filter(({ table }) => table.currency === this.currency);
    this.leftOut = tables.filter(({ table }) => table.currency !== this.currency);
  }

  /** The price at `path` of the first table that has one there. */
  find(...path: readonly string[]): Price | undefined {
    for (const { name, table } of this.tables) {
      const amount = at(table, path);
      if (typeof amount !== "number") continue;
      const { date, source } = table;
      return { amount, from: { name, date, ...(source === undefined ? {} : { source }) } };
    }
    return undefined;
  }

  /** What is assumed of use. */
  assumed(what: keyof Assumptions): number | undefined {
    return this.find("assumptions", what)?.amount;
  }

  /** Does any table know this region? */
  hasRegion(region: string): boolean {
    return this.tables.some(({ table }) => Object.hasOwn(table.regions ?? {}, region));
  }
}

function at(table: PriceTable, path: readonly string[]): unknown {
  let value: unknown = table;
  for (const key of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[key];
  }
  return value;
}
