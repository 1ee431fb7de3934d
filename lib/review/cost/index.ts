export { checkPriceTable, parsePriceTable } from "./check-price-table";
export { costOf, type CostOptions } from "./cost-of";
export { PriceBook, type NamedTable, type Price, type PriceSource } from "./price-book";
export {
  HOURS_PER_MONTH,
  type Assumptions,
  type BalancerPrices,
  type EverywherePrices,
  type PriceTable,
  type RegionPrices,
  type VolumePrices,
} from "./price-table";
export { costHeadline, costSection, moneyText, type CostTextOptions } from "./render";
export type { Amount, CostLine, CostReport, CostUnknown, OnceLine, Rate, UsagePrice } from "./report";
