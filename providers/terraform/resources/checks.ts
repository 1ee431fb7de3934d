import { isIP } from "node:net";
import { parseDurationMs } from "../../../lib/duration";
import type { CheckResult } from "../plugin";

/** Rules for single values, completing "`attribute` …". */
export const isDuration = (text: string): CheckResult =>
  parseDurationMs(text) === undefined
    ? { problem: "must be a duration", mend: "Write it as 250ms, 30s, 1m30s or 2h." }
    : undefined;

export const isPositiveDuration = (text: string): CheckResult =>
  isDuration(text) ?? (parseDurationMs(text) === 0 ? "must be longer than 0" : undefined);

export const isIpAddress = (text: string): CheckResult =>
  isIP(text) === 0
    ? {
        problem: "must be an IP address",
        mend: "Users resolve names; a balancer listens on an address of its site.",
      }
    : undefined;

export const isDigest = (text: string): CheckResult =>
  /^sha256:[0-9a-f]{64}$/.test(text)
    ? undefined
    : { problem: "must be an image digest", mend: "Write it as sha256: and 64 lower-case hex digits." };

export const isSiteName = (text: string): CheckResult =>
  /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(text)
    ? undefined
    : { problem: "must be a site's name", mend: "Use letters, digits, dots, dashes and underscores." };

export const isPoolName = (text: string): CheckResult =>
  /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(text)
    ? undefined
    : { problem: "must be a pool's name", mend: "Use lower-case letters, digits and dashes, at most 63." };

export const isHostName = (text: string): CheckResult =>
  /^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(text) &&
  text.length <= 253
    ? undefined
    : "must be a lower-case host name such as shop.example.org, without a port";

export const isNotEmpty = (text: string): CheckResult =>
  text.trim() === "" ? "must not be empty" : undefined;

/** A whole number from `least` to `most`. */
export const isBetween =
  (least: number, most: number) =>
  (value: number): CheckResult =>
    value < least || value > most ? `must be ${least} to ${most}` : undefined;

export const isAtLeast =
  (least: number) =>
  (value: number): CheckResult =>
    value < least ? `must be at least ${least}` : undefined;

export const isOneOf =
  (...choices: readonly string[]) =>
  (text: string): CheckResult =>
    choices.includes(text) ? undefined : `must be ${choices.map((choice) => `"${choice}"`).join(" or ")}`;
