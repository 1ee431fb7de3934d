import { Token } from "cdktf";
import { throwProblems } from "../errors";
import type { ProblemReport } from "../errors";

/** A rule that is broken: what is wrong and how to mend it. */
export interface Broken {
  readonly problem: string;
  readonly mend: string;
  readonly attribute?: readonly string[];
}

/** A rule that holds is undefined. */
export type Rule = Broken | undefined;

const DIGEST = /^sha256:[0-9a-f]{64}$/;
const NAME = /^[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?$/;
const LONGEST_MS = 366 * 86_400_000;

/**
 * Throws all broken rules at once.
 * @param place the construct's path, or the class's name for a value
 */
export function refuse(place: string, rules: readonly Rule[]): void {
  throwProblems(reportsOf(place, rules));
}

export function reportsOf(place: string, rules: readonly Rule[]): ProblemReport[] {
  return rules.filter((rule) => rule !== undefined).map((rule) => ({ place, ...rule }));
}

/** `undefined` (not given) and tokens (not known before apply) cannot break a rule about their value. */
function known<T>(value: T | undefined): value is T {
  return value !== undefined && !Token.isUnresolved(value);
}

function broken(attribute: string, problem: string, mend: string): Broken {
  return { problem: `\`${attribute}\` ${problem}`, mend, attribute: attribute.split(".") };
}

/** The rule's own condition, for what the helpers below do not cover. */
export function rule(holds: boolean, attribute: string, problem: string, mend: string): Rule {
  return holds ? undefined : broken(attribute, problem, mend);
}

export function wholeRule(
  attribute: string,
  value: number | undefined,
  least: number,
  mend: string,
  most = Number.MAX_SAFE_INTEGER,
): Rule {
  if (!known(value) || (Number.isInteger(value) && value >= least && value <= most)) return undefined;
  const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
  return broken(attribute, `must be a whole number ${range}, got ${value}`, mend);
}

export function aboveZeroRule(attribute: string, value: number | undefined, mend: string): Rule {
  if (!known(value) || (Number.isFinite(value) && value > 0)) return undefined;
  return broken(attribute, `must be above 0, got ${value}`, mend);
}

export function durationRule(attribute: string, valueMs: number | undefined, leastMs = 1): Rule {
  if (!known(valueMs) || (Number.isInteger(valueMs) && valueMs >= leastMs && valueMs <= LONGEST_MS))
    return undefined;
  return broken(
    attribute,
    `must be a whole number of milliseconds, at least ${leastMs} and at most a year, got ${valueMs}`,
    "Give the time in milliseconds: 30_000 is half a minute.",
  );
}

export function textRule(attribute: string, value: string | undefined, mend: string): Rule {
  if (!known(value) || value.trim() !== "") return undefined;
  return broken(attribute, `must not be empty, got ${JSON.stringify(value)}`, mend);
}

export function digestRule(attribute: string, value: string | undefined): Rule {
  if (!known(value) || DIGEST.test(value)) return undefined;
  return broken(
    attribute,
    `must be sha256: and 64 lower-case hex digits, got ${JSON.stringify(value)}`,
    "Take it from `spillway image index FILE`, or leave it out.",
  );
}

/** Names of sites, pools and bursts: they become host names, file names and Terraform names. */
export function nameRule(attribute: string, value: string | undefined): Rule {
  if (!known(value) || NAME.test(value)) return undefined;
  return broken(
    attribute,
    `must be 1 to 40 lower-case letters, digits and hyphens, begin with a letter and not end with a hyphen, got ${JSON.stringify(value)}`,
    "Choose a name such as `shop` or `rented-rack`.",
  );
}

export function portRule(attribute: string, value: number | undefined): Rule {
  return wholeRule(attribute, value, 1, "Give the port that users connect to.", 65_535);
}
