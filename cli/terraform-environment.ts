import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { serveReattach } from "../providers/terraform/plugin";
import { createProvider } from "../providers/terraform/resources";
import { writeCliConfig } from "../providers/terraform/cli-config";
import { makePrivateFolder } from "./private-folder";

/** What Terraform is started with so that it finds our provider. */
export interface TerraformEnvironment {
  readonly environment: NodeJS.ProcessEnv;
  /** To which the provider appends its progress. */
  readonly progressFile: string;
  close(): Promise<void>;
}

/**
 * A CLI configuration in which the provider comes from this package; the user's other settings stay. One that already says where
 * providers come from is used as it is.
 */
function cliConfigFile(scratch: string): string {
  const own = process.env.TF_CLI_CONFIG_FILE;
  const inherit = own && existsSync(own) ? own : undefined;
  if (inherit && /^\s*provider_installation\b/m.test(readFileSync(inherit, "utf8"))) return inherit;
  return writeCliConfig({ file: join(scratch, "terraform.rc"), inherit });
}

/**
 * The environment of a Terraform that is driven from here. The provider runs inside this process (Terraform attaches to it), which saves
 * three process starts for each plan: what matters when demand is rising.
 */
export async function attachedTerraform(stackDir: string): Promise<TerraformEnvironment> {
  const scratch = await makePrivateFolder();
  const progressFile = join(scratch, "progress.jsonl");
  // The provider that is attached to reads its own process's environment.
  process.env.SPILLWAY_PROGRESS = progressFile;
  // Relative paths in a stack are relative to it, as they are for a provider that Terraform starts there.
  const attached = await serveReattach(createProvider({ directory: stackDir }), { socketDir: scratch });
  return {
    progressFile,
    environment: {
      ...process.env,
      TF_CLI_CONFIG_FILE: cliConfigFile(scratch),
      TF_REATTACH_PROVIDERS: attached.reattachConfig,
    },
    close: async () => {
      await attached.close();
      rmSync(scratch, { recursive: true, force: true });
    },
  };
}

/** The environment of a Terraform that starts the provider itself, as a user's does, from the mirror in this package. */
export function standaloneTerraform(scratch: string, progressFile: string): NodeJS.ProcessEnv {
  return { ...process.env, TF_CLI_CONFIG_FILE: cliConfigFile(scratch), SPILLWAY_PROGRESS: progressFile };
}
