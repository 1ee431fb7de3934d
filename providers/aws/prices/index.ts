import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parsePriceTable, type NamedTable } from "../../../lib/review/cost";

/** The price table that comes with Spillway: some regions and common instance types. A user's own wins, entry by entry. */
export function builtInPrices(): NamedTable {
  const file = join(__dirname, "aws-prices.json");
  return { name: "built in", table: parsePriceTable(readFileSync(file, "utf8"), file) };
}
