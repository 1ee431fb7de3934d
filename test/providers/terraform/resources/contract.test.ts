import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Attributes } from "../../../../providers/terraform/plugin";
import { provider } from "../../../../providers/terraform/resources";

const ROOT = join(__dirname, "..", "..", "..", "..");

test("the provider's version is the package's", () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string };
  expect(provider.version).toBe(version);
});

test("docs/resources.md says what the schema says", async () => {
  await promisify(execFile)(process.execPath, [join(ROOT, "scripts", "resource-docs.mjs"), "--check"]);
});

test("types, attributes and who gives them are a contract", () => {
  const told: Record<string, string[]> = {};
  for (const [type, { schema }] of Object.entries({ ...provider.resources, ...provider.dataSources })) {
    told[type] = namesOf(schema);
  }
  expect({
    ...told,
    provider: namesOf(provider.config),
    functions: Object.keys(provider.functions),
  }).toMatchSnapshot();
});

/** `listen.port required` */
function namesOf(attributes: Attributes, path = ""): string[] {
  return Object.entries(attributes).flatMap(([name, { kind, mode, options }]) => {
    const at = `${path}${name}`;
    const inner = kind.shape === "nested" ? namesOf(kind.attributes, `${at}.`) : [];
    return [`${at} ${mode}${options.forceNew ? ", replaces" : ""}`, ...inner];
  });
}
