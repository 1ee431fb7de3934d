import { parsePlan, renderMarkdown, type JsonObject } from "../../../../lib/review";
import { costHeadline, costOf, type CostReport } from "../../../../lib/review/cost";
import { BUILT_IN, fixture } from "./plans";

const GROUP = "aws_autoscaling_group.pool[0]";
const cost = (name: Parameters<typeof fixture>[0]): CostReport => costOf(parsePlan(fixture(name)), BUILT_IN);

/** Quantities of a resource's lines before and after. */
function quantities(report: CostReport, address: string): Record<string, [number, number]> {
  const lines = report.lines.filter((line) => line.address === address);
  return Object.fromEntries(
    lines.map(({ item, before, after }) => [item, [before.quantity, after.quantity]]),
  );
}

test("a burst that begins costs its members, their volumes, its load balancer with its addresses, and a health check", () => {
  const report = cost("out");
  expect(quantities(report, GROUP)).toEqual({
    "instance m6i.large": [0, 2],
    "instance m6i.large (Spot)": [0, 1],
    "volume gp3": [0, 60],
  });
  expect(quantities(report, "aws_lb.pool[0]")).toEqual({
    "application load balancer": [0, 1],
    "application load balancer, capacity units": [0, 1],
    "public IPv4 address": [0, 2],
  });
  expect(quantities(report, "aws_route53_health_check.cloud[0]")).toEqual({
    "health check of an endpoint at AWS": [0, 1],
    "health check of an endpoint at AWS, options": [0, 1],
  });
  expect(report.unknowns).toEqual([]);
  const hours = 3 * 0.115 + 0.027 + 0.008 + 2 * 0.005 + (60 * 0.0952 + 0.5 + 1) / 730;
  expect(report.change.hour).toBeCloseTo(hours, 7);
  expect(report.change.month).toBeCloseTo(hours * 730, 4);
  expect(costHeadline(report)).toBe("at most $0.40 an hour more, $292 if it lasted a month");
});

test("members that go from 3 to 5 cost two more, and what does not change is not told", () => {
  const report = cost("more");
  expect(quantities(report, GROUP)).toEqual({
    "instance m6i.large": [2, 3],
    "instance m6i.large (Spot)": [1, 2],
    "volume gp3": [60, 100],
  });
  expect(report.change.hour).toBeCloseTo(2 * 0.115 + (40 * 0.0952) / 730, 7);
  const text = renderMarkdown(parsePlan(fixture("more")), { cost: report });
  expect(text).not.toMatch(/load balancer|hosted zone|capacity unit/);
  expect(text).toContain("| an hour | $0.40 | $0.64 | +$0.24 |");
});

test("the way home saves what the way out cost", () => {
  const [out, home] = [cost("out"), cost("home")];
  expect(home.change.hour).toBe(-out.change.hour);
  expect(home.after).toEqual(out.before);
  expect(home.before).toEqual(out.after);
  expect(costHeadline(home)).toBe("at most $0.40 an hour less, $292 a month");
});

test("a plan of everything at once joins what has no id yet", () => {
  const report = cost("fresh");
  expect(report.unknowns).toEqual([]);
  expect(quantities(report, GROUP)["instance m6i.large"]).toEqual([0, 2]);
  // The subnets are made by the same plan.
  expect(quantities(report, "aws_lb.pool[0]")["public IPv4 address"]).toEqual([0, 2]);
  expect(report.lines.every(({ region }) => region === "eu-central-1")).toBe(true);
  expect(report.before).toEqual({ hour: 0, month: 0 });
});

test("an image that becomes a snapshot, an AMI and a template gives the members their volumes", () => {
  const report = cost("image");
  expect(quantities(report, "aws_autoscaling_group.pool")).toEqual({
    "instance m6i.large": [0, 3],
    "volume gp3": [0, 3],
  });
  expect(quantities(report, "spillway_image_replica.image")).toEqual({ snapshot: [0, 20 / 1024] });
  // Of that region the built-in table has no such price.
  expect(report.unknowns).toMatchObject([{ item: "blocks written to the snapshot", once: true }]);
  expect(costHeadline(report)).toMatch(/^at most \$0\.35 an hour more, .*, 1 cost not known$/);
});

test("a plan that changes nothing of cost says nothing of cost", () => {
  const model = parsePlan(fixture("same"));
  const report = costOf(model, BUILT_IN);
  expect(report.changes).toBe(false);
  expect(report.after.hour).toBeGreaterThan(0.3);
  expect(costHeadline(report)).toBe("");
  expect(renderMarkdown(model, { cost: report, now: Date.parse("2040-01-01") })).toBe(renderMarkdown(model));
});

test("the headline is in the verdict, the lines are folded, and the table's date is said", () => {
  const text = renderMarkdown(parsePlan(fixture("home")), { cost: cost("home") });
  expect(text.split("\n")[0]).toMatch(/^\*\*4 destroyed; at most \$0\.40 an hour less, \$292 a month/);
  expect(text).toMatch(/### Cost\n\n\| \| before \| after \| change \|\n/);
  expect(text).toMatch(/<details><summary>Cost line by line \(8\)<\/summary>\n\n\|[^]*\n\n<\/details>/);
  expect(text).toContain("Prices of 2026-01-19 (compiled by hand after AWS' public prices (on-demand, Linux");
});

test("prices older than a year are warned of, on the day after and not before", () => {
  const model = parsePlan(fixture("more"));
  const at = (day: string) => renderMarkdown(model, { cost: cost("more"), now: Date.parse(day) });
  expect(at("2027-01-19")).not.toMatch(/days old/);
  expect(at("2027-01-20")).toMatch(/\*\*These prices are 366 days old\*\* \(built in\).*--prices FILE/);
});

test("the same plan gives the same bytes, whatever the order of its lists", () => {
  const plan = JSON.parse(fixture("out")) as JsonObject & { resource_changes: unknown[] };
  const turned = { ...plan, resource_changes: [...plan.resource_changes].reverse() } as JsonObject;
  const [one, two] = [plan, turned].map((each) => {
    const model = parsePlan(each);
    const report = costOf(model, BUILT_IN);
    return [renderMarkdown(model, { cost: report }), JSON.stringify(report)];
  });
  expect(two).toEqual(one);
});

test("a limit takes detail from the cost as from all else", () => {
  const model = parsePlan(fixture("out"));
  const report = costOf(model, BUILT_IN);
  const whole = renderMarkdown(model, { cost: report });
  expect(renderMarkdown(model, { cost: report, limit: whole.length - 1 }).length).toBeLessThan(whole.length);
  expect(renderMarkdown(model, { cost: report, limit: 200 })).toMatch(/^\*\*4 created; at most \$0\.40/);
});
