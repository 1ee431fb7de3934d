import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { servedShop } from "./support/served-shop";
import type { Workspace } from "./support/terraform";

const { workspace } = servedShop();

const EXACT = `
resource "shop_server" "a" {
  name      = "a"
  price     = 3.14159265358979323846264338327950288
  count_all = 123456789012345678901234567890
  ratio     = 9007199254740993.5
  ports     = [0.1, 0.3, -0.7, 1.5, 1e21, 9007199254740993, 1180591620717411303424, 18446744073709551615, -9223372036854775808]
}
`;

test("numbers are as exact as Terraform's own, through plan, apply, refresh and update", async () => {
  const w = workspace();
  w.write(EXACT);
  await w.apply();
  const { text } = w.state();
  for (const digits of [
    "3.14159265358979323846264338327950288",
    "123456789012345678901234567890",
    "9007199254740993.5",
    "9007199254740993",
    "1180591620717411303424",
    "18446744073709551615",
    "-9223372036854775808",
    "1000000000000000000000",
  ]) {
    expect(text).toContain(digits);
  }
  expect(await w.planExit()).toBe(0);
  w.write(EXACT.replace(`name      = "a"`, `name = "a"\nsize = 2`));
  await w.apply();
  expect(w.state().text).toContain("3.14159265358979323846264338327950288");
  expect(await w.planExit()).toBe(0);
  // The last digit of a number that no double holds is a change all the same.
  w.write(
    EXACT.replace("9007199254740993.5", "9007199254740993.25").replace(
      `name      = "a"`,
      `name = "a"\nsize = 2`,
    ),
  );
  expect(await w.planExit()).toBe(2);
  await w.apply();
  expect(w.state().text).toContain("9007199254740993.25");
});

/** Replaces the stored state of `shop_server.a` by one of an older version. */
function age(w: Workspace, version: number, attributes: string): void {
  const file = join(w.directory, "terraform.tfstate");
  const state = JSON.parse(readFileSync(file, "utf8")) as {
    resources: { instances: Record<string, unknown>[] }[];
  };
  const instance = state.resources[0]!.instances[0]!;
  Object.assign(instance, { schema_version: version, attributes: "HERE", sensitive_attributes: [] });
  writeFileSync(file, JSON.stringify(state).replace(`"HERE"`, attributes));
}

test.each([
  [0, `{"id":"s-a","title":"a","size":3,"count_all":9007199254740993}`],
  [1, `{"id":"s-a","name":"a","size":3,"count_all":9007199254740993}`],
])(
  "a state of version %d is upgraded without a change, and without losing a digit",
  async (version, attributes) => {
    const w = workspace();
    w.write(`resource "shop_server" "a" {\n  name = "a"\n  size = 3\n  count_all = 9007199254740993\n}`);
    await w.apply();
    age(w, version, attributes);
    expect(await w.planExit()).toBe(0);
    await w.ok("apply", "-refresh-only", "-auto-approve");
    expect(w.state().resources[0]!.instances[0]!.schema_version).toBe(2);
    expect(w.state().text).toContain("9007199254740993");
  },
);

test("a state of an unreadable version is refused", async () => {
  const w = workspace();
  w.write(`resource "shop_server" "a" { name = "a" }`);
  await w.apply();
  age(w, 9, `{"id":"s-a"}`);
  expect((await w.run("plan")).text).toContain("newer provider version");
});

test("what exists is imported by its id, from the command line and by an import block", async () => {
  const w = workspace();
  w.write(`resource "shop_server" "a" {\n  name = "a"\n  size = 3\n  zones = ["x"]\n}`);
  await w.apply();
  await w
    .ok("state", "rm", "shop_server.a")
    .catch(async () => (await w.start("state", "rm", "shop_server.a").done).code);
  await w.ok("import", "shop_server.a", "s-a");
  expect(w.attributes("shop_server")).toMatchObject({ id: "s-a", name: "a", size: 3, zones: ["x"] });
  expect(await w.planExit()).toBe(0);
  expect((await w.run("import", "shop_server.b", "s-b")).code).toBe(1);
});

test("importing what does not exist, or cannot be imported, says so", async () => {
  const w = workspace();
  w.write(`resource "shop_server" "a" { name = "a" }\nresource "shop_ticket" "t" { subject = "x" }`);
  expect((await w.run("import", "shop_server.a", "s-nobody")).text).toContain(
    'There is no shop_server with the id "s-nobody"',
  );
  expect((await w.run("import", "shop_ticket.t", "t-x")).text).toContain("shop_ticket cannot be imported");
});

test("an import block imports in a plan", async () => {
  const w = workspace();
  w.write(`resource "shop_server" "a" { name = "a" }`);
  await w.apply();
  const other = workspace();
  other.write(
    `import {\n  to = shop_server.a\n  id = "s-a"\n}\nresource "shop_server" "a" { name = "a" }`,
    `provider "shop" { directory = "${w.store}" }`,
  );
  const applied = await other.apply();
  expect(applied.text).toContain("1 imported, 0 added, 0 changed, 0 destroyed");
});

test("a resource of another provider is moved here by a moved block", async () => {
  const w = workspace();
  w.write(`resource "terraform_data" "old" {\n  input = { name = "a" }\n}`);
  await w.apply();
  w.write(
    `moved {\n  from = terraform_data.old\n  to   = shop_server.new\n}\nresource "shop_server" "new" { name = "a" }`,
  );
  writeFileSync(join(w.store, "s-a.json"), "{}");
  const planned = await w.plan();
  expect(planned.resource_changes.map(({ change }) => change.actions)).toEqual([["no-op"]]);
  w.write(
    `moved {\n  from = terraform_data.old\n  to   = shop_ticket.new\n}\nresource "shop_ticket" "new" { subject = "a" }`,
  );
  expect((await w.run("plan")).text).toContain("terraform_data cannot be moved to shop_ticket");
});

test("a write-only value reaches the provider and nothing else", async () => {
  const w = workspace();
  w.write(
    `resource "shop_server" "a" {\n  name = "a"\n  password = "correct horse"\n  password_version = 1\n}`,
  );
  await w.plan();
  expect((await w.ok("show", "-json", "plan.bin")).stdout.match(/correct horse/g)).toHaveLength(
    // Terraform itself shows the constants of a configuration, and nothing of it among the planned values.
    (await w.ok("show", "-json", "plan.bin")).stdout.split(`"constant_value":"correct horse"`).length - 1,
  );
  await w.apply();
  expect(w.state().text).not.toContain("correct horse");
  expect(readFileSync(join(w.store, "password-a.json"), "utf8")).toContain("correct horse");
  expect(await w.planExit()).toBe(0);
  w.write(
    `resource "shop_server" "a" {\n  name = "a"\n  password = "battery staple"\n  password_version = 2\n}`,
  );
  expect(await w.planExit()).toBe(2);
});
