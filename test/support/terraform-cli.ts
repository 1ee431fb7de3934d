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

/** A command that runs. */
export interface RunningTerraform {
  readonly done: Promise<TerraformRun>;
  /** `kill -9` of Terraform and of its providers, all at once, as when a machine dies. */
  killAll(): void;
}

/** Terraform in one folder, with our provider from the mirror and nothing of this machine's configuration. */
export class TerraformFolder {
  private tool: TerraformTool | undefined;
  private readonly configuration: string;

  /** @param installation Where providers come from, as a CLI configuration says it; without it our own only. */
  constructor(
    readonly folder: string,
    private readonly environment: NodeJS.ProcessEnv = {},
    installation = `provider_installation {\n  filesystem_mirror {\n    path = ${JSON.stringify(PROVIDER_MIRROR)}\n  }\n}\n`,
  ) {
    this.configuration = join(folder, "test.tfrc");
    writeFileSync(this.configuration, installation);
  }

  /** Runs a command to its end, however that is. */
  async run(args: readonly string[], options: { readonly signal?: AbortSignal } = {}): Promise<TerraformRun> {
    return this.spawn(args, options.signal).then(({ done }) => done);
  }

  /** Starts a command that may be killed. */
  async start(args: readonly string[]): Promise<RunningTerraform> {
    return this.spawn(args);
  }

  private async spawn(args: readonly string[], signal?: AbortSignal): Promise<RunningTerraform> {
    this.tool ??= await findTerraform();
    const child = spawn(this.tool.binary, args, {
      cwd: this.folder,
      env: {
        ...process.env,
        ...this.environment,
        TF_CLI_CONFIG_FILE: this.configuration,
        TF_IN_AUTOMATION: "1",
        CHECKPOINT_DISABLE: "1",
      },
      stdio: ["ignore", "pipe", "pipe"],
      // A process group of its own: its providers are in it.
      detached: true,
    });
    const output = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8").on("data", (chunk: string) => {
        output[name] += chunk;
      });
    }
    signal?.addEventListener("abort", () => child.kill("SIGINT"), { once: true });
    return {
      done: new Promise((resolve, reject) => {
        child.once("error", reject);
        child.once("close", (code) => resolve({ code: code ?? -1, ...output }));
      }),
      killAll: () => void (child.pid !== undefined && process.kill(-child.pid, "SIGKILL")),
    };
  }

  /** Runs a command that must end well. */
  async must(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(args);
    if (code !== 0) throw new Error(`terraform ${args.join(" ")} ended with ${code}:\n${stdout}\n${stderr}`);
    return stdout;
  }
}
