import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { servedShop } from "./support/served-shop";
import type { Workspace } from "./support/terraform";

const { workspace } = servedShop();

const server = (body: string, name = "a") => `resource "shop_server" "a" {\n  name = "${name}"\n${body}\n}`;

async function failure(w: Workspace, ...args: string[]): Promise<string> {
  const run = await w.run(...args);
  expect(run.code).toBe(1);
  return run.text;
}

/** Line 6 of the file is the first of the body. */
test("every wrong value is reported at once, at its line, with the value and the mend", async () => {
  const w = workspace();
  w.write(server(`  size = 0\n  zones = ["nowhere"]\n  listen = { port = 70000 }`, "Wrong"));
  const all = await w.diagnostics();
  expect(all.map(({ summary, range, detail }) => [summary, range?.start.line, detail])).toEqual(
    expect.arrayContaining([
      ['`name` must be lower-case letters, digits and dashes, got "Wrong"', 8, ""],
      ["`size` must be at least 1, got 0", 9, "A server needs a unit."],
      ['`zones[0]` must be a zone, got "nowhere"', 10, ""],
      // Terraform shows only the header of the block for a nested attribute: the text must name it.
      ["`listen.port` must be a port, got 70000", 7, ""],
    ]),
  );
  expect(all).toHaveLength(4);
});

test("an error about a nested attribute that does not name it has its path added", async () => {
  const w = workspace();
  w.write(server(`  disks = [{ size = 1 }, { size = 13 }]`));
  const [only] = await w.diagnostics();
  expect(only).toMatchObject({ summary: "Thirteen brings bad luck", detail: "Attribute: `disks[1].size`." });
});

test("null elements and numbers that do not fit are refused", async () => {
  const w = workspace();
  w.write(server(`  tags = { a = null }\n  ports = [1, null]\n  password_version = 1.5\n  count_all = 2.5`));
  expect((await w.diagnostics()).map(({ summary }) => summary).sort()).toEqual([
    "`count_all` must be a whole number, got 2.5",
    "`password_version` must be a whole number, got 1.5",
    "`ports[1]` must not be null",
    "`tags.a` must not be null",
  ]);
  w.write(server(`  ratio = 1/1073741824`));
  expect((await w.diagnostics()).map(({ summary }) => summary)).toEqual([
    "`ratio` has more digits than Terraform's plan files keep; round it, got 0.000000000931322574615478515625",
  ]);
  w.write(server(`  password_version = 9007199254740993\n  ratio = 1e400`));
  expect((await w.diagnostics()).map(({ summary }) => summary).sort()).toEqual([
    "`password_version` must be at most 2^53, got 9007199254740993",
    expect.stringMatching(/^`ratio` must be below 1\.8e308, got 10{70,}\.\.\.$/),
  ]);
});

test("what is not known yet is not checked, until it is", async () => {
  const w = workspace();
  w.write(
    `resource "shop_ticket" "t" { subject = "BAD" }\n${server(`  size = length(shop_ticket.t.id) - 5`, "${shop_ticket.t.id}")}`,
  );
  await w.ok("validate");
  expect(await failure(w, "apply", "-auto-approve")).toContain("`size` must be at least 1, got 0");
  expect(readdirSync(w.store)).toEqual([]);
});

test("a plan's own errors and warnings have their attribute", async () => {
  const w = workspace();
  w.write(server(`  size = 101\n  note = "too much"`));
  const text = await failure(w, "plan");
  expect(text).toContain("`size` is more than the shop has, got 101");
  expect(text).toContain("on main.tf line 9");
  w.write(server(`  note = "costly"`));
  expect((await w.ok("plan")).text).toContain("Warning: This is costly");
});

test("a create that fails leaves no state, and its error stands at the attribute it names", async () => {
  const w = workspace();
  w.write(server(`  behave = "fail"\n  listen = { port = 80 }`));
  const text = await failure(w, "apply", "-auto-approve");
  expect(text).toContain("The port is taken, got 80");
  expect(text).toContain("At shop/server. Choose another");
  expect(text).toContain("Attribute: `listen.port`.");
  expect(w.state().resources).toEqual([]);
});

test("a create that was half done is saved as tainted, and made anew", async () => {
  const w = workspace();
  w.write(server(`  behave = "partial"`));
  expect(await failure(w, "apply", "-auto-approve")).toContain("Half made");
  expect(w.state().resources[0]!.instances[0]).toMatchObject({
    status: "tainted",
    attributes: { id: "s-a", name: "a", image: null, revision: null },
  });
  w.write(server(``));
  expect((await w.plan()).resource_changes[0]!.change.actions).toEqual(["delete", "create"]);
  await w.apply();
  expect(w.state().resources[0]!.instances[0]!.status).toBeUndefined();
});

test("an update that fails keeps the prior state; one that was half done says what is true", async () => {
  const w = workspace();
  w.write(server(`  size = 1`));
  await w.apply();
  w.write(server(`  size = 2\n  behave = "fail"`));
  await failure(w, "apply", "-auto-approve");
  expect(w.attributes("shop_server")).toMatchObject({ size: 1, behave: null, revision: 1 });
  w.write(server(`  size = 2\n  behave = "partial"`));
  expect(await failure(w, "apply", "-auto-approve")).toContain("The update broke off");
  expect(w.attributes("shop_server")).toMatchObject({ size: 1, note: "half way", revision: 1 });
});

test("a delete that fails keeps the prior state", async () => {
  const w = workspace();
  w.write(server(`  note = "sticky"`));
  await w.apply();
  expect(await failure(w, "destroy", "-auto-approve")).toContain("It does not go away");
  expect(w.attributes("shop_server")).toMatchObject({ id: "s-a", note: "sticky" });
  w.write(server(``));
  await w.apply();
  await w.ok("destroy", "-auto-approve");
});

test("a planned destroy may warn, or be refused before anything happens", async () => {
  const w = workspace();
  w.write(server(`  note = "dear"`));
  await w.apply();
  expect((await w.ok("plan", "-destroy")).text).toContain("A dear server goes away");
  w.write(server(`  note = "kept"`));
  await w.apply();
  expect(await failure(w, "plan", "-destroy")).toContain("It is to be kept");
  expect(existsSync(join(w.store, "s-a.json"))).toBe(true);
});

test("an operation that reaches its timeout is told to stop, and says which timeout to raise", async () => {
  const w = workspace();
  w.write(server(`  behave = "hang"\n  timeouts = { create = "300ms" }`));
  const text = await failure(w, "apply", "-auto-approve");
  expect(text).toContain("Not done within 300 ms");
  expect(text).toContain("Raise `timeouts.create` if it needs longer.");
  w.write(server(`  timeouts = { create = "soon" }`));
  expect((await w.diagnostics())[0]!.summary).toBe(
    '`timeouts.create` must be a duration such as 30s, 5m or 1h30m, got "soon"',
  );
});

test("a handler that gives what its schema forbids is a defect of the provider, and what it made is not lost", async () => {
  const w = workspace();
  w.write(server(`  behave = "no id"`));
  const text = await failure(w, "apply", "-auto-approve");
  expect(text).toContain("The provider gave a value that its own schema does not allow");
  expect(text).toContain("`id`");
  expect(w.state().resources[0]!.instances[0]).toMatchObject({
    status: "tainted",
    attributes: { name: "a", image: "plain" },
  });
});

test("an exception of a handler is an error like any other", async () => {
  const w = workspace();
  w.write(server(`  behave = "defect"`));
  expect(await failure(w, "apply", "-auto-approve")).toContain("Cannot read properties of undefined");
});

test("the provider's own configuration is checked, and its errors have their attribute", async () => {
  const w = workspace();
  w.write(server(``), `provider "shop" {\n  directory = ""\n}`);
  expect((await w.diagnostics())[0]).toMatchObject({
    summary: "`directory` must not be empty",
    range: { start: { line: 7 } },
  });
  w.write(server(``), `provider "shop" {\n  directory = "/forbidden"\n}`);
  const text = await failure(w, "plan");
  expect(text).toContain("The store cannot be there");
  expect(text).toContain("main.tf line 7");
});

test("a sensitive value is not shown, in errors neither", async () => {
  const w = workspace();
  w.write(server(`  token = "tell-nobody"`));
  const plan = await w.ok("plan");
  expect(plan.text).toContain("(sensitive value)");
  expect(plan.text).not.toContain("tell-nobody");
});

test("a null written out for a required attribute of a nested object is refused", async () => {
  const w = workspace();
  w.write(server(`  users = [{ name = null }]\n  links = { up = { target = null } }`));
  expect((await w.diagnostics()).map(({ summary }) => summary).sort()).toEqual([
    "`links.up.target` must be given, got null",
    "`users[0].name` must be given, got null",
  ]);
});
