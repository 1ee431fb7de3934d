import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TerraformFolder } from "../terraform-cli";
import { cliConfiguration, findAwsProvider } from "./provider-mirror";

/** Terraform in a new folder, with AWS's real provider and our own, in one AWS. */
export class AwsTerraform extends TerraformFolder {
  constructor(environment: NodeJS.ProcessEnv, folder = mkdtempSync(join(tmpdir(), "spillway-aws-"))) {
    const source = findAwsProvider();
    if (!source) throw new Error("no Terraform provider for AWS here");
    super(folder, environment, cliConfiguration(source));
  }

  /** Applies without asking, and must end well. */
  async apply(
    variables: Readonly<Record<string, unknown>> = {},
    ...args: readonly string[]
  ): Promise<string> {
    return this.must("apply", ...APPLY, ...variablesOf(variables), ...args);
  }

  /** Does a plan want nothing? Tells what it wants otherwise. */
  async settled(variables: Readonly<Record<string, unknown>> = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run([
      "plan",
      "-detailed-exitcode",
      "-input=false",
      "-no-color",
      "-lock-timeout=0s",
      ...variablesOf(variables),
    ]);
    return code === 0 ? "nothing" : `${stdout}\n${stderr}`;
  }

  /** Addresses of what the state holds. */
  async addresses(): Promise<string[]> {
    return (await this.must("state", "list")).split("\n").filter((line) => line !== "");
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export const APPLY = ["-auto-approve", "-input=false", "-no-color"] as const;

export function variablesOf(variables: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(variables).map(
    ([name, value]) => `-var=${name}=${typeof value === "string" ? value : JSON.stringify(value)}`,
  );
}
