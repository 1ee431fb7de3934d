import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { SpillwayError } from "../../lib/errors";

/** The provider's source, without a host. */
export const PROVIDER_SOURCE = "spillway/spillway";
/** The provider's full addresses: Terraform asks the first registry, OpenTofu the second. */
export const PROVIDER_ADDRESSES = [
  `registry.terraform.io/${PROVIDER_SOURCE}`,
  `registry.opentofu.org/${PROVIDER_SOURCE}`,
];

/** The filesystem mirror that the build makes, beside this very program. */
export function builtMirror(): string {
  // From providers/terraform of the sources as well as of dist.
  const root = join(__dirname, "..", "..");
  return existsSync(join(root, "mirror")) ? join(root, "mirror") : join(root, "dist", "mirror");
}

export interface CliConfigOptions {
  /** The file to write. Terraform finds it by the environment variable `TF_CLI_CONFIG_FILE`. */
  readonly file: string;
  /** The directory that holds Spillway's provider as a filesystem mirror. @default - the one that the build makes */
  readonly mirror?: string;
  /** A filesystem mirror for all other providers. @default - they come from their registries */
  readonly othersMirror?: string;
  /**
   * A CLI configuration whose other settings (credentials, plugin cache) are to stay.
   * @default - none
   */
  readonly inherit?: string;
}

/**
 * Writes a CLI configuration by which `terraform init` installs Spillway's provider without a registry.
 * @returns the file, as an absolute path
 * @throws SpillwayError if the mirror is missing, or the inherited configuration already says where providers come from
 */
export function writeCliConfig(options: CliConfigOptions): string {
  const mirror = resolve(options.mirror ?? builtMirror());
  if (!PROVIDER_ADDRESSES.every((address) => existsSync(join(mirror, address)))) {
    throw new SpillwayError({
      place: mirror,
      problem: "there is no mirror with Spillway's Terraform provider",
      mend: "Build it: npm run build.",
    });
  }
  const ours = PROVIDER_ADDRESSES.map((address) => quoted(address)).join(", ");
  const others = options.othersMirror
    ? [
        `  filesystem_mirror {`,
        `    path    = ${quoted(resolve(options.othersMirror))}`,
        `    exclude = [${ours}]`,
        `  }`,
      ]
    : [`  direct {`, `    exclude = [${ours}]`, `  }`];
  const text = [
    ...inherited(options.inherit),
    `provider_installation {`,
    `  filesystem_mirror {`,
    `    path    = ${quoted(mirror)}`,
    `    include = [${ours}]`,
    `  }`,
    ...others,
    `}`,
    ``,
  ].join("\n");
  const file = resolve(options.file);
  if (existsSync(file) && readFileSync(file, "utf8") === text) return file;
  mkdirSync(dirname(file), { recursive: true });
  const making = `${file}.${process.pid}`;
  writeFileSync(making, text);
  renameSync(making, file);
  return file;
}

function inherited(file: string | undefined): string[] {
  if (file === undefined || !existsSync(file)) return [];
  const text = readFileSync(file, "utf8");
  if (/^\s*provider_installation\b/m.test(text)) {
    throw new SpillwayError({
      place: file,
      problem: "it has a provider_installation block, and Terraform takes only one",
      mend: `Add a filesystem_mirror for ${PROVIDER_SOURCE} to that block, and use the file as it is.`,
    });
  }
  return [text.trimEnd(), ""];
}

/** A string of the configuration language. */
function quoted(text: string): string {
  return JSON.stringify(text);
}
