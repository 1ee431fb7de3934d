import { Token } from "cdktf";
import type { PrePosition, SeedPrices } from "../hook/manifest";
import { prePositionProblems } from "../policy";
import type { Image } from "./image";
import { rule } from "./validate";
import type { Rule } from "./validate";

/** How the hook keeps an image nearly current at the cloud between bursts, in the background. */
export interface PrePositioning {
  /** Milliseconds between two transfers. */
  readonly everyMs: number;
  /**
   * What a transfer may take of the link: `10Mbit`, `2MB/s`, `unlimited`.
   * @default - a quarter of the rate that was measured last
   */
  readonly cap?: string;
  /**
   * When it may run: `22:00-06:00`, `sat,sun 00:00-24:00 50Mbit`. A window without a rate has `cap`; the first that a moment lies in
   * counts.
   * @default - always
   */
  readonly windows?: readonly string[];
  /**
   * Whose clocks the windows go by: an IANA name such as `Europe/Berlin`.
   * @default - those of the machine that the hook runs on
   */
  readonly timeZone?: string;
  /**
   * Prices, by which the hook says whether holding the image there is worth what it costs.
   * @default - it says nothing of it
   */
  readonly seed?: SeedPrices;
}

/** @internal */
export function prePositionOf(image: Image, given: PrePositioning): PrePosition {
  const { everyMs, cap, windows, timeZone, seed } = given;
  const { source, digest, exact, format } = image;
  const all = { source, digest, exact, format, everyMs, cap, windows, timeZone, seed };
  return Object.fromEntries(
    Object.entries(all).filter(([, value]) => value !== undefined),
  ) as unknown as PrePosition;
}

/** @internal */
export function prePositioningRules(image: Image, given: PrePositioning): readonly Rule[] {
  const isKnown = !Token.isUnresolved(given) && !Token.isUnresolved(image.source);
  return [
    rule(
      isKnown,
      "preposition",
      "needs an image file and settings that are known before apply",
      "Give the image's `source` and the settings as plain values: the hook works with them between applies.",
    ),
    ...(isKnown ? prePositionProblems(prePositionOf(image, given), "preposition") : []).map((problem) => ({
      ...problem,
      attribute: problem.attribute?.map(String),
    })),
  ];
}
