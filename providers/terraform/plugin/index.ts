export * from "./define";
export * from "./diagnostic";
export * from "./schema";
export { Decimal } from "./values/decimal";
export * from "./describe";
export * from "./serve";
