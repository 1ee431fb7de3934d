import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface CliConfigOptions {
  /** Where the file goes; made when missing. */
  readonly directory: string;
  /** The filesystem mirror that holds this provider (`dist/mirror`). */
  readonly mirror: string;
}

/**
 * Writes a Terraform CLI configuration in which this provider comes from a filesystem mirror and every other one from where it always
 * does. Its path goes into `TF_CLI_CONFIG_FILE`.
 * @returns the file's path
 */
export function writeCliConfig({ directory, mirror }: CliConfigOptions): string {
  mkdirSync(directory, { recursive: true });
  const file = join(directory, "terraform.rc");
  writeFileSync(
    file,
    `provider_installation {
  filesystem_mirror {
    path    = ${JSON.stringify(mirror)}
    include = ["spillway/spillway"]
  }
  direct {
    exclude = ["spillway/spillway"]
  }
}
`,
  );
  return file;
}
