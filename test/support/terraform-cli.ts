import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TerraformTool } from "../../lib/hook/find-terraform";
import { findTerraform } from "../../lib/hook/find-terraform";

/** Our own provider as `scripts/build.mjs` makes it. */
export const PROVIDER_MIRROR = join(__dirname, "..", "..", "dist", "mirror");

export interface TerraformRun {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Terraform in one folder, with our provider from the mirror and nothing of this machine's configuration. */
export class TerraformFolder {
  private tool: TerraformTool | undefined;
  private readonly configuration: string;

  constructor(
    readonly folder: string,
    private readonly environment: NodeJS.ProcessEnv = {},
  ) {
    this.configuration = join(folder, "test.tfrc");
    writeFileSync(
      this.configuration,
      `provider_installation {\n  filesystem_mirror {\n    path = ${JSON.stringify(PROVIDER_MIRROR)}\n  }\n}\n`,
    );
  }

  /** Runs a command to its end, however that is. */
  async run(args: readonly string[], options: { readonly signal?: AbortSignal } = {}): Promise<TerraformRun> {
    this.tool ??= await findTerraform();
    const { binary } = this.tool;
    return new Promise((resolve, reject) => {
      const child = spawn(binary, args, {
        cwd: this.folder,
        env: {
          ...process.env,
          ...this.environment,
          TF_CLI_CONFIG_FILE: this.configuration,
          TF_IN_AUTOMATION: "1",
          CHECKPOINT_DISABLE: "1",
        },
        stdio: ["ignore", "pipe", "pipe"],
      });
      const output = { stdout: "", stderr: "" };
      for (const name of ["stdout", "stderr"] as const) {
        child[name].setEncoding("utf8").on("data", (chunk: string) => {
          output[name] += chunk;
        });
      }
      options.signal?.addEventListener("abort", () => child.kill("SIGINT"), { once: true });
      child.once("error", reject);
      child.once("close", (code) => resolve({ code: code ?? -1, ...output }));
    });
  }

  /** Runs a command that must end well. */
  async must(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(args);
    if (code !== 0) throw new Error(`terraform ${args.join(" ")} ended with ${code}:\n${stdout}\n${stderr}`);
    return stdout;
  }
}
