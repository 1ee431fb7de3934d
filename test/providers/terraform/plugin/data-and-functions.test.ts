import { servedShop } from "./support/served-shop";

const { workspace } = servedShop();

test("a data source is read at plan time, or at apply when its configuration is not known before", async () => {
  const w = workspace();
  w.write(`
    data "shop_price" "now" { item = "tea" }
    resource "shop_ticket" "t" { subject = "x" }
    data "shop_price" "later" { item = shop_ticket.t.id }
    output "now" { value = data.shop_price.now }
    output "later" { value = data.shop_price.later.item }
  `);
  const plan = (await w.plan()) as unknown as {
    planned_values: { outputs: Record<string, { value?: unknown }> };
  };
  expect(plan.planned_values.outputs.now).toMatchObject({
    value: { item: "tea", amount: 0.1, offers: { near: { amount: 3 } } },
  });
  expect(plan.planned_values.outputs.later!.value).toBeUndefined();
  await w.apply();
  expect((await w.ok("output", "-json")).stdout).toContain('"t-x"');
  expect(await w.planExit()).toBe(0);
});

test("a data source refuses what it cannot read", async () => {
  const w = workspace();
  w.write(`data "shop_price" "p" { item = "love" }`);
  expect((await w.diagnostics())[0]).toMatchObject({
    summary: "It has no price",
    range: { start: { line: 7 } },
  });
  w.write(`data "shop_price" "p" { item = "free" }`);
  expect((await w.run("plan")).text).toContain("There is no free lunch");
});

test("a function computes, keeps exact numbers, and points to the argument it refuses", async () => {
  const w = workspace();
  const output = (call: string) => w.write(`output "x" { value = provider::shop::sum(${call}) }`);
  output(`{ a = 1, b = 2.5 }, null`);
  await w.apply();
  expect((await w.ok("output", "x")).stdout.trim()).toBe("3.5");
  output(`{ a = 0.1 }, 0`);
  await w.apply();
  expect((await w.ok("output", "x")).stdout.trim()).toBe("0.1");
  output(`{ a = 1, b = -2 }, 3`);
  expect((await w.run("plan")).text).toContain(
    'Invalid value for "values" parameter: values: b must not be negative, got -2',
  );
  output(`{ a = 1, b = null }, 3`);
  expect((await w.run("plan")).text).toContain("`values.b` must not be null");
  output(`null, 3`);
  expect((await w.run("plan")).text).toContain(
    'Invalid value for "values" parameter: argument must not be null',
  );
});
