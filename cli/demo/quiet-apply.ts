import { execFile } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { SpillwayError, messageOf } from "../../lib/errors";
import type { TerraformTool } from "../../lib/hook";
import type { RunApply } from "../../lib/report";
import { standaloneTerraform } from "../terraform-environment";

/** `terraform init` and the first `terraform apply`, as a person would type them: the provider is started by Terraform itself. Times of the apply are since 1970. */
export async function applyByHand(options: {
  readonly tool: TerraformTool;
  readonly stackDir: string;
  readonly parametersFile: string;
  readonly scratch: string;
  readonly onLine: (line: string) => void;
}): Promise<RunApply> {
  mkdirSync(options.scratch, { recursive: true });
  const env = standaloneTerraform(options.scratch, join(options.scratch, "progress.jsonl"));
  const commands = [
    ["init", "-input=false", "-no-color"],
    ["apply", "-input=false", "-no-color", "-auto-approve", `-var-file=${options.parametersFile}`],
  ];
  let apply: RunApply = { startMs: 0, endMs: 0, ok: true, summary: "" };
  for (const args of commands) {
    const startMs = Date.now();
    options.onLine(`${options.tool.name} ${args[0]}`);
    try {
      const { stdout } = await promisify(execFile)(options.tool.binary, args, {
        cwd: options.stackDir,
        env: { ...env, TF_IN_AUTOMATION: "1", CHECKPOINT_DISABLE: "1" },
        timeout: 60_000,
        maxBuffer: 16e6,
      });
      const summary = /^Apply complete!.*$/m.exec(stdout)?.[0];
      if (summary) options.onLine(summary);
      apply = { startMs, endMs: Date.now(), ok: true, summary: summary ?? "" };
    } catch (error) {
      const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
      const words = `${stdout}\n${stderr}`.trim().split("\n").slice(-15).join("\n");
      throw new SpillwayError(
        {
          place: options.stackDir,
          problem: `\`${options.tool.name} ${args[0]}\` failed: ${words || messageOf(error)}`,
          mend: "Run `spillway doctor`, and the command by hand to see all it says.",
        },
        { cause: error },
      );
    }
  }
  return apply;
}
