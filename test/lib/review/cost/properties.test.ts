import fc from "fast-check";
import type { JsonObject } from "../../../../lib/review";
import { parsePlan, renderMarkdown } from "../../../../lib/review";
import { costOf } from "../../../../lib/review/cost";
import { group, modelOf, planOf, reversed, ROUND_BOOK, roundCost, STANDING, type Change } from "./plans";

const type = fc.constantFrom("m6i.large", "m5.large", "t3.small", "x9.unheard");
const anInstance = type.map((instance_type): JsonObject => ({
  instance_type,
  root_block_device: [{ volume_size: 8, volume_type: "gp3" }],
  ebs_block_device: [],
}));
const aVolume = fc
  .record({ size: fc.integer({ min: 1, max: 1000 }), type: fc.constantFrom("gp2", "gp3", "io9") })
  .map((each): JsonObject => each);
const aGroup = fc.integer({ min: 0, max: 20 }).map((members) => group(members));
const aBalancer = fc
  .record({ internal: fc.boolean(), subnets: fc.array(fc.constant("s"), { minLength: 1, maxLength: 3 }) })
  .map((each): JsonObject => ({ ...each, load_balancer_type: "application" }));

function change(
  kind: string,
  values: fc.Arbitrary<JsonObject>,
): fc.Arbitrary<Omit<Change, "address"> & { kind: string }> {
  return fc
    .tuple(fc.option(values, { nil: undefined }), fc.option(values, { nil: undefined }))
    .map(([before, after]) => ({ kind, ...(before ? { before } : {}), ...(after ? { after } : {}) }));
}

const changes: fc.Arbitrary<readonly Change[]> = fc
  .array(
    fc.oneof(
      change("aws_instance", anInstance),
      change("aws_ebs_volume", aVolume),
      change("aws_autoscaling_group", aGroup),
      change("aws_lb", aBalancer),
    ),
    { maxLength: 8 },
  )
  .map((all) => [
    STANDING,
    ...all
      .map(({ kind, ...rest }, index) => ({ address: `${kind}.r${index}`, ...rest }))
      .filter(({ before, after }) => before ?? after),
  ]);

test("one more instance never lowers the cost", () => {
  fc.assert(
    fc.property(changes, anInstance, (given, after) => {
      const without = roundCost(given);
      const more = roundCost([...given, { address: "aws_instance.more", after }]);
      expect(more.after.hour).toBeGreaterThanOrEqual(without.after.hour);
      expect(more.before.hour).toBe(without.before.hour);
    }),
  );
});

test("what is after a plan is before the plan that takes it back", () => {
  fc.assert(
    fc.property(changes, (given) => {
      const there = roundCost(given);
      const back = roundCost(given.map(reversed));
      expect(back.before).toEqual(there.after);
      expect(back.after).toEqual(there.before);
      expect(back.change.hour).toBeCloseTo(-there.change.hour, 7);
      expect(back.changes).toBe(there.changes);
    }),
  );
});

test("what is not known is listed, and adds nothing to a sum", () => {
  fc.assert(
    fc.property(changes, (given) => {
      const report = roundCost(given);
      const sum = report.lines.reduce((total, { after }) => total + after.hour, 0);
      expect(report.after.hour).toBeCloseTo(sum, 7);
      expect(report.lines.every(({ unitPrice }) => unitPrice > 0)).toBe(true);
      const unheard = given
        .filter(({ after }) => after?.instance_type === "x9.unheard")
        .map(({ address }) => address);
      const listed = report.unknowns
        .filter(({ item }) => item === "instance x9.unheard")
        .map(({ address }) => address);
      expect(listed).toEqual(expect.arrayContaining(unheard));
    }),
  );
});

test("a plan that changes nothing says nothing, whatever stands", () => {
  fc.assert(
    fc.property(changes, (given) => {
      const standing = given.flatMap((each) => {
        const values = each.after ?? each.before;
        return values ? [{ ...each, before: values, after: values }] : [];
      });
      const model = modelOf(standing);
      const report = costOf(model, ROUND_BOOK);
      expect(report.changes).toBe(false);
      expect(renderMarkdown(model, { cost: report })).toBe("**No changes.**\n");
    }),
  );
});

test("the order of a plan's resources does not count, and nothing of it is thrown", () => {
  fc.assert(
    fc.property(changes, fc.jsonValue({ maxDepth: 4 }), (given, junk) => {
      const plan = planOf(given);
      const list = plan.resource_changes as readonly JsonObject[];
      const turned = parsePlan({ ...plan, resource_changes: [...list].reverse() });
      expect(costOf(turned, ROUND_BOOK)).toEqual(roundCost(given));
      for (const kind of [
        "aws_autoscaling_group",
        "aws_lb",
        "aws_instance",
        "aws_launch_template",
        "spillway_image_replica",
      ]) {
        const odd = {
          launch_template: junk,
          mixed_instances_policy: junk,
          subnets: junk,
          ebs: junk,
          target: "ebs",
          transfer: junk,
        };
        costOf(modelOf([...given, { address: `${kind}.odd`, after: odd as JsonObject }]), ROUND_BOOK);
      }
    }),
  );
});
