import type { EventFact } from "../../../lib/hook/attempt";
import type { BurstManifest } from "../../../lib/hook";
import { tellPlan } from "../../../lib/hook/attempt";
import { planText, tellingOf } from "../../../lib/hook/plan-text";
import { parsePlan } from "../../../lib/review";
import { PriceBook } from "../../../lib/review/cost";
import { builtInPrices } from "../../../providers/aws/prices";
import { fixture } from "../review/cost/plans";
import { MANIFEST } from "./support/stack";

const model = parsePlan(fixture("out"));
const prices = new PriceBook([builtInPrices()]);

test("a plan is told with its cost, in the event and in its text", () => {
  const events: EventFact[] = [];
  const telling = { prices };
  tellPlan({ emit: (event) => events.push(event), manifest: MANIFEST, advice: undefined, telling }, model);
  expect(events).toEqual([
    {
      kind: "planned",
      summary: "4 created",
      cost: "at most $0.40 an hour more, $292 if it lasted a month",
      markdown: expect.stringContaining("### Cost") as string,
    },
  ]);
});

test("without prices, or when nothing of cost changes, nothing is said of it", () => {
  expect(planText(model, {})).toEqual({ markdown: expect.not.stringContaining("Cost") as string });
  const same = planText(parsePlan(fixture("same")), { prices });
  expect(same).toEqual({ markdown: expect.not.stringContaining("Cost") as string });
});

test("where the plan does not tell the region, the burst's own counts", () => {
  const plan = JSON.parse(fixture("out")) as {
    configuration: { provider_config: object };
    resource_changes: object[];
  };
  plan.configuration.provider_config = {};
  plan.resource_changes = JSON.parse(
    JSON.stringify(plan.resource_changes).replaceAll(":eu-central-1:", "::"),
  ) as object[];
  const bare = parsePlan(JSON.stringify(plan).replaceAll(/eu-central-1[ab]/g, ""));
  expect(planText(bare, { prices }).cost).toMatch(/costs not known/);
  const platform: BurstManifest["platform"] = {
    kind: "aws",
    region: "eu-central-1",
    autoScalingGroup: "shop",
    targetGroup: "shop",
    loadBalancer: "shop",
    homeIdentifier: "home",
    cloudIdentifier: "cloud",
  };
  const telling = tellingOf({
    clock: { now: Date.now },
    options: { prices, manifest: { ...MANIFEST, platform } },
  });
  expect(planText(bare, telling).cost).toMatch(/^at most \$0\.40 an hour more/);
});

test("the age of prices is judged by the hook's clock", () => {
  const at = (day: string) =>
    planText(
      model,
      tellingOf({ clock: { now: () => Date.parse(day) }, options: { prices, manifest: MANIFEST } }),
    ).markdown;
  expect(at("2026-06-01")).not.toMatch(/days old/);
  expect(at("2028-06-01")).toMatch(/864 days old/);
});

test("a cost that cannot be worked out is a problem told, and no reason to fail", () => {
  class Broken extends PriceBook {
    override find(): never {
      throw new Error("no such page");
    }
  }
  const events: EventFact[] = [];
  const telling = { prices: new Broken([builtInPrices()]) };
  tellPlan({ emit: (event) => events.push(event), manifest: MANIFEST, telling }, model);
  expect(events.map(({ kind }) => kind)).toEqual(["planned", "problem"]);
  expect(events[1]).toMatchObject({ message: "what the plan costs could not be worked out: no such page" });
});
