import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { serveReattach } from "../../../../../providers/terraform/plugin";
import { servedShop } from "../support/served-shop";
import { shop } from "../support/shop-provider";
import { Workspace } from "../support/terraform";

const { workspace, provider } = servedShop();

const SERVER = (name: string, more = "") =>
  `resource "shop_server" "${name}" {\n  name = "${name}"\n${more}\n}`;

async function until(what: string, condition: () => boolean): Promise<void> {
  for (const started = Date.now(); !condition();) {
    if (Date.now() - started > 15_000) throw new Error(`waited too long until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test("the value names the provider by Terraform's and by OpenTofu's address", () => {
  const config = JSON.parse(provider().reattachConfig) as Record<
    string,
    { Pid: number; ProtocolVersion: number }
  >;
  expect(Object.keys(config)).toEqual(["registry.terraform.io/test/shop", "registry.opentofu.org/test/shop"]);
  expect(Object.values(config)[0]).toMatchObject({
    Pid: process.pid,
    Protocol: "grpc",
    ProtocolVersion: 6,
    Test: true,
  });
});

test("two commands at once have a configuration each", async () => {
  const [one, other] = [workspace(), workspace()];
  const body = [..."abcdefgh"].map((name) => SERVER(name)).join("\n");
  one.write(body);
  other.write(body);
  await Promise.all([one.apply(), other.apply()]);
  expect(readdirSync(one.store)).toHaveLength(8);
  expect(readdirSync(other.store)).toHaveLength(8);
});

test("two configurations in one command are kept apart", async () => {
  const w = workspace();
  const second = join(w.directory, "second");
  w.write(
    `${SERVER("a")}\nresource "shop_server" "b" {\n  provider = shop.second\n  name = "b"\n}`,
    `provider "shop" { directory = "${w.store}" }\nprovider "shop" {\n  alias = "second"\n  directory = "${second}"\n}`,
  );
  await w.apply();
  expect(readdirSync(w.store)).toEqual(["s-a.json"]);
  expect(readdirSync(second)).toEqual(["s-b.json"]);
});

test("a stop of one command leaves another alone, and the next command works", async () => {
  const [stopped, other] = [workspace(), workspace()];
  stopped.write(SERVER("a", `  behave = "hang"`));
  other.write(SERVER("a", `  behave = "hang"\n  timeouts = { create = "4s" }`));
  const runs = [stopped, other].map((w) => w.start("apply", "-auto-approve", "-no-color"));
  await until("both hang", () => [stopped, other].every((w) => existsSync(join(w.store, "hanging.json"))));
  runs[0]!.process.kill("SIGINT");
  expect((await runs[0]!.done).text).toContain("Stopped: ");
  expect((await runs[1]!.done).text).toContain("Not done within 4.0 s");
  stopped.write(SERVER("a"));
  await stopped.apply();
});

test("when Terraform is killed, what it had started is told to stop", async () => {
  const w = workspace();
  w.write(SERVER("a", `  note = "slow"`));
  await w.apply();
  const { process: terraform, done } = w.start("destroy", "-auto-approve");
  await until("the destroy hangs", () => existsSync(join(w.store, "hanging.json")));
  terraform.kill("SIGKILL");
  await done;
  // The handler has given up; the next destroy does its work as if nothing had been.
  w.write(SERVER("a"));
  await w.ok("apply", "-auto-approve", "-lock=false");
  await w.ok("destroy", "-auto-approve", "-lock=false");
  expect(existsSync(join(w.store, "s-a.json"))).toBe(false);
});

test("close stops what runs and leaves no socket behind", async () => {
  const own = await serveReattach(shop, { source: "test/shop" });
  const socket = Object.values(
    JSON.parse(own.reattachConfig) as Record<string, { Addr: { String: string } }>,
  )[0]!.Addr.String;
  expect(existsSync(socket)).toBe(true);
  const hanging = new Workspace({ TF_REATTACH_PROVIDERS: own.reattachConfig });
  hanging.write(SERVER("a", `  behave = "hang"`));
  const { done } = hanging.start("apply", "-auto-approve", "-no-color");
  await until("the create hangs", () => existsSync(join(hanging.store, "hanging.json")));
  await own.close();
  expect((await done).code).toBe(1);
  expect(existsSync(dirname(socket))).toBe(false);
  hanging.remove();
});

test("a value of many megabytes passes", async () => {
  const w = workspace();
  w.write(SERVER("a", `  note = join("", [for n in range(1000) : format("%06000d", n)])`));
  await w.apply();
  expect((w.attributes("shop_server").note as string).length).toBe(6_000_000);
});
