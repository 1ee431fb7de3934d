import { messageOf } from "../errors";
import { renderMarkdown, type PlanModel } from "../review";
import { costHeadline, costOf, type PriceBook } from "../review/cost";
import type { Clock, HookOptions } from "./options";

/** How a plan is told. */
export interface PlanTelling {
  /** @default - nothing is said of cost */
  readonly prices?: PriceBook;
  /** Where the cloud's resources are of which the plan does not tell it. @default - their cost is not known */
  readonly region?: string;
  /** Milliseconds since 1970, to warn of old prices. @default - they are not judged */
  readonly now?: () => number;
}

export interface PlanText {
  readonly markdown: string;
  /** `about $0.19 an hour more, …`, when anything of cost changes. */
  readonly cost?: string;
  /** Why nothing is said of cost. */
  readonly problem?: string;
}

/** How a hook with these parts tells of plans. */
export function tellingOf({
  clock,
  options,
}: {
  readonly clock: Pick<Clock, "now">;
  readonly options: Pick<HookOptions, "prices" | "manifest">;
}): PlanTelling {
  const { manifest, prices } = options;
  return {
    now: () => clock.now(),
    ...(prices ? { prices } : {}),
    ...(manifest.platform ? { region: manifest.platform.region } : {}),
  };
}

/** A plan for its reader. What it costs is told, never a reason to fail: a burst does not wait for a price. */
export function planText(model: PlanModel, { prices, region, now }: PlanTelling): PlanText {
  if (!prices) return { markdown: renderMarkdown(model) };
  try {
    const cost = costOf(model, prices, region === undefined ? {} : { region });
    const headline = costHeadline(cost);
    return {
      markdown: renderMarkdown(model, { cost, ...(now ? { now: now() } : {}) }),
      ...(headline === "" ? {} : { cost: headline }),
    };
  } catch (error) {
    const problem = `what the plan costs could not be worked out: ${messageOf(error)}`;
    return { markdown: renderMarkdown(model), problem };
  }
}
