import { InvalidArgumentError } from "commander";

/** Reads a whole number of that range. */
export const wholeNumber =
  (least: number, most: number) =>
  (text: string): number => {
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
  };

/** Reads a whole number of that range, or that it is all. */
export const wholeNumberOrAll =
  (least: number, most: number) =>
  (text: string): number | "all" => {
    if (text === "all") return text;
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}, or all.`);
  };
