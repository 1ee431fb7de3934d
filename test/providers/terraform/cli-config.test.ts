import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SpillwayError } from "../../../lib/errors";
import { PROVIDER_ADDRESSES, writeCliConfig } from "../../../providers/terraform/cli-config";

let directory: string;
let mirror: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cli-config-"));
  mirror = join(directory, "mirror");
  for (const address of PROVIDER_ADDRESSES) mkdirSync(join(mirror, address), { recursive: true });
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

test("Spillway's provider comes from the mirror, and all others from their registries", () => {
  const file = writeCliConfig({ file: join(directory, "made", "terraform.rc"), mirror });
  expect(readFileSync(file, "utf8")).toBe(`provider_installation {
  filesystem_mirror {
    path    = "${mirror}"
    include = ["registry.terraform.io/spillway/spillway", "registry.opentofu.org/spillway/spillway"]
  }
  direct {
    exclude = ["registry.terraform.io/spillway/spillway", "registry.opentofu.org/spillway/spillway"]
  }
}
`);
});

test("all others may come from a mirror too", () => {
  const file = writeCliConfig({
    file: join(directory, "terraform.rc"),
    mirror,
    othersMirror: join(directory, "others"),
  });
  const text = readFileSync(file, "utf8");
  expect(text).toContain(`    path    = "${join(directory, "others")}"\n    exclude = [`);
  expect(text).not.toContain("direct");
});

test("other settings of a configuration stay, and one that says where providers come from is refused", () => {
  const own = join(directory, "own.rc");
  writeFileSync(own, `plugin_cache_dir = "/cache"\n`);
  const file = writeCliConfig({ file: join(directory, "terraform.rc"), mirror, inherit: own });
  expect(readFileSync(file, "utf8")).toMatch(/^plugin_cache_dir = "\/cache"\n\nprovider_installation/);
  writeFileSync(own, `provider_installation {\n}\n`);
  expect(() => writeCliConfig({ file, mirror, inherit: own })).toThrow(
    /it has a provider_installation block.*own\.rc/,
  );
  expect(() => writeCliConfig({ file, mirror, inherit: join(directory, "nothing.rc") })).not.toThrow();
});

test("a mirror that is not there is said to be missing", () => {
  const empty = join(directory, "empty");
  expect(() => writeCliConfig({ file: join(directory, "terraform.rc"), mirror: empty })).toThrow(
    SpillwayError,
  );
  expect(() => writeCliConfig({ file: join(directory, "terraform.rc"), mirror: empty })).toThrow(
    "npm run build",
  );
});
