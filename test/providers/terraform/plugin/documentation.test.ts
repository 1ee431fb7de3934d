import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { providerMirror, type ProviderMirror } from "./support/provider-mirror";
import { Workspace } from "./support/terraform";

const PAGE = readFileSync(join(__dirname, "../../../../docs/provider-framework.md"), "utf8");
const MAIN = join(__dirname, "support", "notes-main.ts");

const block = (language: string) => PAGE.split(`\`\`\`${language}\n`)[1]!.split("```")[0]!;

let mirror: ProviderMirror;
beforeAll(() => {
  mirror = providerMirror({ entry: MAIN, source: "example/notes", version: "0.1.0" });
});
afterAll(() => mirror.remove());

test("the documented provider is the one that is compiled and run here", () => {
  expect(block("ts")).toBe(
    readFileSync(MAIN, "utf8").replace(`"../../../../../providers/terraform/plugin"`, `"spillway/plugin"`),
  );
});

test("it does what the page says, with the configuration of the page", async () => {
  const w = new Workspace({ TF_CLI_CONFIG_FILE: mirror.cliConfig });
  writeFileSync(join(w.directory, "main.tf"), block("hcl").replace("/tmp/notes", w.store));
  await w.ok("init");
  const { change } = (await w.plan()).resource_changes[0]!;
  expect(change.after).toMatchObject({ text: "HELLO", length: 10 });
  await w.apply();
  expect(readFileSync(join(w.store, "hello"), "utf8")).toBe("HELLOHELLO");
  expect(await w.planExit()).toBe(0);
  writeFileSync(join(w.store, "hello"), "HELLO");
  expect(await w.planExit()).toBe(2);
  await w.ok("destroy", "-auto-approve");
  expect(existsSync(join(w.store, "hello"))).toBe(false);
  w.remove();
});
