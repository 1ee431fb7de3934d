import { readFileSync } from "node:fs";
import { messageOf, SpillwayError } from "../lib/errors";
import { parsePriceTable, PriceBook } from "../lib/review/cost";
import { builtInPrices } from "../providers/aws/prices";

/**
 * The built-in prices, and before them those of a file, if one is named.
 * @throws SpillwayError (or several) if the file cannot be read or is no price table
 */
export function priceBook(file: string | undefined): PriceBook {
  if (file === undefined) return new PriceBook([builtInPrices()]);
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new SpillwayError(
      {
        place: file,
        problem: `the price table cannot be read: ${messageOf(error)}`,
        mend: "Name an existing file with --prices; docs/review.md shows one.",
      },
      { cause: error },
    );
  }
  return new PriceBook([{ name: file, table: parsePriceTable(text, file) }, builtInPrices()]);
}
