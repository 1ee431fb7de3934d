import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { servedShop } from "./support/served-shop";

const { workspace, logs } = servedShop();

const FULL = `
resource "shop_server" "a" {
  name     = "a"
  listen   = { port = 8080 }
  disks    = [{ size = 3 }, { size = 4, mount = "/log" }]
  links    = { up = { target = "b" }, down = { target = "c", weight = 3 } }
  users    = [{ name = "eve" }, { name = "adam", shell = "/bin/zsh" }]
  tags     = { b = "2", a = "1" }
  zones    = ["west", "east"]
  ports    = [1, 2.5]
  anything = { list = [1, "two", true, null], n = 0.1 }
  timeouts = { create = "1m" }
}
`;

test("a resource is created, stays as it is, changes in place, is replaced and goes away", async () => {
  const w = workspace();
  w.write(FULL);
  await w.apply();
  expect(w.attributes("shop_server")).toMatchObject({
    id: "s-a",
    size: 1,
    image: "plain",
    listen: { address: "127.0.0.1", port: 8080 },
    monitor: { path: "/", rise: 2, window: { seconds: 1.5 } },
    disks: [
      { size: 3, mount: "/data", serial: "s-a-0", kind: "ssd" },
      { size: 4, mount: "/log", serial: "s-a-1", kind: "ssd" },
    ],
    links: { up: { target: "b", weight: 1 }, down: { target: "c", weight: 3 } },
    ports: [1, 2.5],
    anything: { value: { list: [1, "two", true, null], n: 0.1 } },
  });
  expect(await w.planExit()).toBe(0);

  w.write(FULL.replace("size = 3", "size = 5").replace(`"east"]`, `"east", "north"]`));
  const update = (await w.plan()).resource_changes[0]!.change;
  expect(update.actions).toEqual(["update"]);
  // What is kept stays known; what may change does not.
  expect(update.after_unknown).toMatchObject({ revision: true, disks: [{}, {}] });
  expect(update.after).toMatchObject({ id: "s-a", disks: [{ serial: "s-a-0" }, { serial: "s-a-1" }] });
  await w.apply();
  expect(w.attributes("shop_server")).toMatchObject({ revision: 2, disks: [{ size: 5 }, { size: 4 }] });
  expect(await w.planExit()).toBe(0);

  w.write(FULL.replace(`name     = "a"`, `name = "z"`));
  const replacement = (await w.plan()).resource_changes[0]!.change;
  expect(replacement.actions).toEqual(["delete", "create"]);
  expect(replacement.replace_paths).toEqual([["name"]]);
  expect(replacement.after_unknown).toMatchObject({ id: true, image: true });
  await w.apply();
  expect(readdirSync(w.store)).toEqual(["s-z.json"]);
  expect(await w.planExit()).toBe(0);

  await w.ok("destroy", "-auto-approve");
  expect(readdirSync(w.store)).toEqual([]);
});

test("a forced replacement names the nested attribute that changed", async () => {
  const w = workspace();
  w.write(FULL);
  await w.apply();
  w.write(FULL.replace(`mount = "/log"`, `mount = "/log", kind = "tape"`));
  const { change } = (await w.plan()).resource_changes[0]!;
  expect(change.actions).toEqual(["delete", "create"]);
  expect(change.replace_paths).toEqual([["disks", 1, "kind"]]);
});

test("the plan's own rules may ask for a replacement", async () => {
  const w = workspace();
  w.write(`resource "shop_server" "a" { name = "a" }`);
  await w.apply();
  w.write(`resource "shop_server" "a" {\n  name = "a"\n  image = "fancy"\n}`);
  const { change } = (await w.plan()).resource_changes[0]!;
  expect(change.actions).toEqual(["delete", "create"]);
  expect(change.replace_paths).toEqual([["image"]]);
});

test("a computed value that is given and then left out again is kept", async () => {
  const w = workspace();
  w.write(`resource "shop_server" "a" {\n  name = "a"\n  image = "fancy"\n}`);
  await w.apply();
  w.write(`resource "shop_server" "a" { name = "a" }`);
  expect(await w.planExit()).toBe(0);
  expect(w.attributes("shop_server").image).toBe("fancy");
});

test("a change of timeouts alone calls no handler and opens no computed value", async () => {
  const w = workspace();
  w.write(FULL);
  await w.apply();
  w.write(FULL.replace(`create = "1m"`, `create = "2m", delete = "3m"`));
  const { change } = (await w.plan()).resource_changes[0]!;
  expect(change.actions).toEqual(["update"]);
  expect(change.after_unknown).not.toHaveProperty("revision");
  await w.apply();
  expect(w.attributes("shop_server")).toMatchObject({
    revision: 1,
    timeouts: { create: "2m", delete: "3m", update: null },
  });
  expect(await w.planExit()).toBe(0);
});

test("what depends on a value that is not known yet is planned unknown and applied known", async () => {
  const w = workspace();
  w.write(`
    resource "shop_ticket" "t" { subject = "x" }
    resource "shop_server" "a" {
      name   = "a"
      note   = "for \${shop_ticket.t.id}"
      size   = length(shop_ticket.t.id)
      tags   = { ticket = shop_ticket.t.id }
      disks  = [for n in range(2) : { size = n + 1, mount = shop_ticket.t.id }]
      listen = { port = length(shop_ticket.t.id), address = shop_ticket.t.id }
      users  = [{ name = shop_ticket.t.id }]
    }
  `);
  const planned = (await w.plan()).resource_changes.find(
    ({ address }) => address === "shop_server.a",
  )!.change;
  expect(planned.after_unknown).toMatchObject({
    note: true,
    size: true,
    cost: true,
    disks: [{ mount: true }, { mount: true }],
  });
  await w.apply();
  expect(w.attributes("shop_server")).toMatchObject({
    note: "for t-x",
    size: 3,
    tags: { ticket: "t-x" },
    users: [{ name: "t-x", shell: "/bin/sh" }],
    cost: { total: 30 },
  });
  expect(await w.planExit()).toBe(0);
});

test("a list of unknown length is planned unknown", async () => {
  const w = workspace();
  w.write(`
    resource "shop_ticket" "t" { subject = "x" }
    resource "shop_server" "a" {
      name  = "a"
      disks = [for c in split("-", shop_ticket.t.id) : { size = length(c), mount = c }]
    }
  `);
  const planned = (await w.plan()).resource_changes.find(
    ({ address }) => address === "shop_server.a",
  )!.change;
  expect(planned.after_unknown.disks).toBe(true);
  await w.apply();
  expect(w.attributes("shop_server").disks).toHaveLength(2);
  expect(await w.planExit()).toBe(0);
});

test("what was removed behind Terraform's back is planned anew, and what drifted is shown", async () => {
  const w = workspace();
  w.write(`resource "shop_server" "a" { name = "a" }`);
  await w.apply();
  const file = join(w.store, "s-a.json");
  writeFileSync(file, JSON.stringify({ ...(JSON.parse(readFileSync(file, "utf8")) as object), revision: 7 }));
  await w.ok("apply", "-refresh-only", "-auto-approve");
  expect(w.attributes("shop_server").revision).toBe(7);

  rmSync(file);
  expect((await w.plan()).resource_changes[0]!.change.actions).toEqual(["create"]);
});

test("notes of the plan reach the create, and notes of the create the update", async () => {
  const w = workspace();
  w.write(`resource "shop_server" "a" { name = "a" }`);
  await w.apply();
  const kept = () => JSON.parse(readFileSync(join(w.store, "s-a.json"), "utf8")) as Record<string, unknown>;
  expect(kept().privatePlanned).toBe("yes");
  w.write(`resource "shop_server" "a" {\n  name = "a"\n  size = 2\n}`);
  await w.apply();
  expect(kept().etagBefore).toEqual({ revision: 1 });
  expect(w.state().text).not.toContain("etag");
});

test("handlers log to Terraform's log", async () => {
  const w = workspace();
  w.write(`resource "shop_server" "a" { name = "a" }`);
  await w.apply();
  expect(logs).toContain("info server made");
});

test("a set is the same whatever the order it is written in", async () => {
  const w = workspace();
  const users = (list: string) => `resource "shop_server" "a" {\n  name = "a"\n  users = [${list}]\n}`;
  w.write(users(`{ name = "b" }, { name = "c" }`));
  await w.apply();
  w.write(users(`{ name = "a" }, { name = "c" }, { name = "b" }`));
  await w.apply();
  expect(w.attributes("shop_server").users).toEqual([
    { name: "a", shell: "/bin/sh" },
    { name: "b", shell: "/bin/sh" },
    { name: "c", shell: "/bin/sh" },
  ]);
  expect(await w.planExit()).toBe(0);
});

test("a saved plan does what it said, and no other plan after that", async () => {
  const w = workspace();
  w.write(FULL);
  await w.plan();
  await w.ok("apply", "plan.bin");
  expect(await w.planExit()).toBe(0);
  expect((await w.run("apply", "plan.bin")).text).toContain("Saved plan is stale");
});

test("changes that are to be ignored are ignored", async () => {
  const w = workspace();
  const server = (size: number) =>
    `resource "shop_server" "a" {\n  name = "a"\n  size = ${size}\n  lifecycle {\n    ignore_changes = [size]\n  }\n}`;
  w.write(server(1));
  await w.apply();
  w.write(server(5));
  expect(await w.planExit()).toBe(0);
});

test("a replacement may be created before the old one is destroyed", async () => {
  const w = workspace();
  const ticket = (subject: string) =>
    `resource "shop_ticket" "t" {\n  subject = "${subject}"\n  lifecycle {\n    create_before_destroy = true\n  }\n}`;
  w.write(ticket("x"));
  await w.apply();
  w.write(ticket("y"));
  expect((await w.plan()).resource_changes[0]!.change.actions).toEqual(["create", "delete"]);
  await w.apply();
  expect(w.attributes("shop_ticket").id).toBe("t-y");
});

test("a provider whose configuration an apply will tell is planned with unknown values, and applied with known ones", async () => {
  const w = workspace();
  w.write(
    `resource "terraform_data" "where" { input = "${w.store}" }\nresource "shop_server" "a" { name = "a" }`,
    `provider "shop" { directory = terraform_data.where.output }`,
  );
  await w.apply();
  expect(readdirSync(w.store)).toEqual(["s-a.json"]);
  expect(await w.planExit()).toBe(0);
});

test("terraform test runs against it", async () => {
  const w = workspace();
  w.write(`resource "shop_server" "a" { name = "a" }`);
  writeFileSync(
    join(w.directory, "server.tftest.hcl"),
    `run "made" {
      assert {
        condition     = shop_server.a.id == "s-a" && shop_server.a.monitor.rise == 2
        error_message = "not as it should be"
      }
    }`,
  );
  expect((await w.ok("test")).text).toContain("1 passed, 0 failed");
  expect(readdirSync(w.store)).toEqual([]);
});
