import { split as splitWeights } from "../../../lib/policy/weights";
import { a, ArgumentError, defineFunction } from "../plugin";

const isFigure = (value: Record<string, unknown>) => {
  const bad = Object.entries(value).find(([, figure]) => typeof figure === "number" && figure < 0);
  return bad ? `must be 0 or more for each site, but is ${String(bad[1])} for "${bad[0]}"` : undefined;
};

/** `provider::spillway::split(capacity, health, performance)` */
export const split = defineFunction({
  summary: "Splits users over sites by capacity, health and performance",
  description:
    "Whole weights that add up to 100, in proportion to `capacity × health × performance`, by the largest remainder. A site whose share is 0, or rounds to 0, is left out: weight 0 is not out of service.",
  parameters: {
    capacity: a
      .map(a.number())
      .check(isFigure)
      .describe("What each site can carry, in any unit, such as requests per second."),
    health: a
      .map(a.number())
      .check(isFigure)
      .describe("By site, 0 (down) to 1 (all members up). A site that is not named here counts as 1."),
    performance: a
      .map(a.number())
      .check(isFigure)
      .describe(
        "By site, a factor for how well it serves its users. A site that is not named here counts as 1.",
      ),
  },
  returns: a.map(a.integer()).describe("Weights by site."),
  call: ({ capacity, health, performance }) => {
    for (const [parameter, figures] of Object.entries({ health, performance })) {
      const stranger = Object.keys(figures).find((site) => !Object.hasOwn(capacity, site));
      if (stranger !== undefined) {
        throw new ArgumentError(
          parameter,
          `names the site "${stranger}", which has no capacity; name the same sites in each`,
        );
      }
    }
    const weights = splitWeights(capacity, health, performance);
    if (Object.keys(weights).length > 0) return weights;
    throw new ArgumentError(
      "capacity",
      "leaves no site with a share: capacity, health or performance is 0 for every one",
    );
  },
});
