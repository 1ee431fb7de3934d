import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

const ROOT = join(__dirname, "..", "..", "..");

test("the bindings are those of the provider's schema, byte for byte", async () => {
  const check = promisify(execFile)(process.execPath, [join(ROOT, "scripts", "bindings.mjs"), "--check"]);
  await expect(check).resolves.toMatchObject({ stdout: "" });
});

test("there is one for each resource and data source, and one for the provider", () => {
  expect(readdirSync(join(ROOT, "lib", "constructs", "bindings")).sort()).toEqual([
    "data-spillway-context.ts",
    "gate.ts",
    "global-record.ts",
    "image-replica.ts",
    "index.ts",
    "pool.ts",
    "provider.ts",
  ]);
});
