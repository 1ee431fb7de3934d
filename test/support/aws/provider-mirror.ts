import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { PROVIDER_MIRROR } from "../terraform-cli";

/** Where Terraform's provider for AWS comes from. */
export type AwsProviderSource =
  { readonly kind: "mirror"; readonly path: string } | { readonly kind: "registry" };

/** The version that the bindings of these tests are made for. */
export const AWS_PROVIDER_VERSION = "5.100.0";

const WITHIN = join("registry.terraform.io", "hashicorp", "aws", AWS_PROVIDER_VERSION);

let found: AwsProviderSource | undefined | "not looked for" = "not looked for";

/**
 * A filesystem mirror that has the provider: the one that SPILLWAY_AWS_PROVIDER_MIRROR names, one that the Terraform configuration of
 * this machine names, or one in a known place; otherwise the registry, where it can be reached.
 */
export function findAwsProvider(): AwsProviderSource | undefined {
  if (found === "not looked for") {
    const path = candidates().find((folder) => existsSync(join(folder, WITHIN)));
    found =
      path !== undefined ? { kind: "mirror", path } : registryAnswers() ? { kind: "registry" } : undefined;
  }
  return found;
}

/** A Terraform CLI configuration that knows our own provider and AWS's, and nothing else of this machine. */
export function cliConfiguration(source: AwsProviderSource): string {
  const ours = `  filesystem_mirror {\n    path    = ${JSON.stringify(PROVIDER_MIRROR)}\n    include = ["spillway/spillway"]\n  }\n`;
  const aws =
    source.kind === "mirror"
      ? `  filesystem_mirror {\n    path    = ${JSON.stringify(source.path)}\n    include = ["hashicorp/*"]\n  }\n`
      : `  direct {\n    include = ["hashicorp/*"]\n  }\n`;
  return `provider_installation {\n${ours}${aws}}\n`;
}

/** Shallow: a search of whole disks would take longer than the tests. */
function candidates(): string[] {
  const { SPILLWAY_AWS_PROVIDER_MIRROR: named, TF_PLUGIN_CACHE_DIR: cache } = process.env;
  if (named) return [named];
  return [
    ...mirrorsOf(process.env.TF_CLI_CONFIG_FILE ?? join(homedir(), ".terraformrc")),
    ...(cache ? [cache] : []),
    join(homedir(), ".terraform.d", "plugins"),
    join(homedir(), ".terraform.d", "plugin-cache"),
    join(homedir(), ".local", "share", "terraform", "plugins"),
    "/usr/local/share/terraform/plugins",
    "/usr/share/terraform/plugins",
    ...below("/opt"),
    ...below("/opt").flatMap(below),
  ];
}

function mirrorsOf(configuration: string): string[] {
  let text: string;
  try {
    text = readFileSync(configuration, "utf8");
  } catch {
    return [];
  }
  return [...text.matchAll(/filesystem_mirror\s*\{[^}]*?\bpath\s*=\s*("(?:[^"\\]|\\.)*")/g)].map(
    ([, path]) => JSON.parse(path) as string,
  );
}

function below(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => join(folder, name));
  } catch {
    return [];
  }
}

/** Asked in a process of its own, since jest wants to know at once what is a test. */
function registryAnswers(): boolean {
  const ask = `require("https").get("https://registry.terraform.io/.well-known/terraform.json", { timeout: 3000 }, (a) => process.exit(a.statusCode === 200 ? 0 : 1)).on("timeout", () => process.exit(1)).on("error", () => process.exit(1))`;
  return spawnSync(process.execPath, ["-e", ask], { timeout: 6000 }).status === 0;
}
