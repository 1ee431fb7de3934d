import fc from "fast-check";
import type { RecordSpec } from "../../../lib/site/api";
import { planAnswers } from "../../../providers/rfc2136";
import { addressCounts } from "../../../providers/rfc2136/weights";

const spec = (
  ...answers: readonly (readonly [site: string, address: string, weight: number])[]
): RecordSpec => ({
  owner: "test",
  ttlSeconds: 30,
  answers: answers.map(([site, address, weight]) => ({ site, address, weight })),
});
const uneven = spec(["onprem", "192.0.2.1", 80], ["cloud", "198.51.100.1", 20]);

describe("weights at a server that has none", () => {
  test("even ones need one address each", () => {
    const plan = planAnswers("shop.test", spec(["onprem", "192.0.2.1", 50], ["cloud", "198.51.100.1", 50]));
    expect(plan).toMatchObject({ addresses: ["192.0.2.1", "198.51.100.1"], notes: [], problems: [] });
  });

  test("uneven ones are refused, with what would come of them and how to mend it", () => {
    const [problem, ...more] = planAnswers("shop.test", uneven).problems;
    expect(more).toEqual([]);
    expect(problem.problem).toBe(
      "a server without weights cannot give onprem 80 %, cloud 20 %: these addresses would give onprem 50 %, cloud 50 %",
    );
    expect(problem.mend).toMatch(/addresses.*PowerDNS.*failover/);
  });

  test("come from the number of addresses of each site", () => {
    const addresses = { onprem: ["192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5"] };
    const plan = planAnswers("shop.test", uneven, { addresses });
    expect(plan.problems).toEqual([]);
    expect(plan.notes).toEqual([]);
    expect(plan.addresses).toEqual(["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "198.51.100.1"]);
    const near = planAnswers("shop.test", spec(["onprem", "192.0.2.1", 77], ["cloud", "198.51.100.1", 23]), {
      addresses,
    });
    expect(near.problems).toEqual([]);
    expect(near.notes).toEqual([
      "shop.test: onprem 77 %, cloud 23 % declared; by the number of addresses it becomes onprem 75 %, cloud 25 %",
    ]);
  });

  test("may be given up for the heaviest site alone, or come as near as they can", () => {
    const failover = planAnswers("shop.test", uneven, { uneven: "failover" });
    expect(failover).toMatchObject({ addresses: ["192.0.2.1"], problems: [] });
    expect(failover.notes[0]).toMatch(/all users are directed to onprem/);
    const nearest = planAnswers("shop.test", uneven, { uneven: "nearest" });
    expect(nearest).toMatchObject({ addresses: ["192.0.2.1", "198.51.100.1"], problems: [] });
    expect(nearest.notes[0]).toMatch(/onprem 50 %, cloud 50 %/);
  });

  test("of aliases are failover or nothing: a name has one alias", () => {
    const aliases = spec(["onprem", "lb.a.test", 50], ["cloud", "lb.b.test", 50]);
    expect(planAnswers("shop.test", aliases).problems[0].problem).toMatch(/one alias only/);
    expect(planAnswers("shop.test", aliases, { uneven: "nearest" }).problems).toHaveLength(1);
    expect(planAnswers("shop.test", aliases, { uneven: "failover" })).toMatchObject({
      addresses: ["lb.a.test"],
      problems: [],
    });
    expect(planAnswers("shop.test", spec(["cloud", "lb.b.test", 100]))).toMatchObject({
      addresses: ["lb.b.test"],
      problems: [],
      notes: [],
    });
  });

  test("further addresses of another type are refused", () => {
    const { problems } = planAnswers("shop.test", uneven, {
      addresses: { cloud: ["2001:db8::1"] },
      uneven: "nearest",
    });
    expect(problems.map(({ problem }) => problem)).toEqual([
      'address "2001:db8::1" of cloud is not of type A, as "198.51.100.1" is',
    ]);
  });

  test("never use an address that is not there, leave no site out, and are never worse than one each", () => {
    const sites = fc.array(fc.tuple(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 12 })), {
      minLength: 1,
      maxLength: 5,
    });
    const worst = (counts: readonly number[], declared: readonly number[]) => {
      const total = counts.reduce((sum, count) => sum + count, 0);
      return Math.max(...counts.map((count, at) => Math.abs((100 * count) / total - declared[at])));
    };
    fc.assert(
      fc.property(sites, (made) => {
        const total = made.reduce((sum, [weight]) => sum + weight, 0);
        const declared = made.map(([weight]) => (100 * weight) / total);
        const counts = addressCounts(
          declared,
          made.map(([, available]) => available),
        );
        counts.forEach((count, at) => {
          expect(count).toBeGreaterThanOrEqual(1);
          expect(count).toBeLessThanOrEqual(made[at][1]);
        });
        expect(worst(counts, declared)).toBeLessThanOrEqual(
          worst(
            declared.map(() => 1),
            declared,
          ) + 1e-6,
        );
      }),
    );
  });
});
