import { spawn, type ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Both, without colours and boxes, on one line: for `toContain` of a wrapped sentence. */
  readonly text: string;
}

export interface Diagnostic {
  readonly severity: string;
  readonly summary: string;
  readonly detail: string;
  readonly address?: string;
  readonly range?: { readonly start: { readonly line: number } };
  readonly snippet?: { readonly code: string };
}

/** A directory with a Terraform configuration, and Terraform to run in it. */
export class Workspace {
  readonly directory = mkdtempSync(join(tmpdir(), "shop-test-"));
  readonly store = join(this.directory, "store");

  constructor(private readonly environment: Readonly<Record<string, string>>) {
    mkdirSync(this.store);
    writeFileSync(join(this.directory, "empty.rc"), "disable_checkpoint = true\n");
  }

  /** Writes `main.tf`: the provider's requirement and configuration, and `body`. */
  write(body: string, provider: string = `provider "shop" { directory = "${this.store}" }`): void {
    writeFileSync(
      join(this.directory, "main.tf"),
      `terraform {\n  required_providers {\n    shop = { source = "test/shop" }\n  }\n}\n${provider}\n${body}\n`,
    );
  }

  /** Starts Terraform; `done` resolves when it has ended. */
  start(...args: string[]): { readonly process: ChildProcess; readonly done: Promise<Run> } {
    const child = spawn("terraform", args, {
      cwd: this.directory,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        PATH: process.env.PATH,
        HOME: this.directory,
        TF_CLI_CONFIG_FILE: join(this.directory, "empty.rc"),
        TF_IN_AUTOMATION: "1",
        CHECKPOINT_DISABLE: "1",
        ...this.environment,
      },
    });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (data: Buffer) => (stdout += data.toString()));
    child.stderr.on("data", (data: Buffer) => (stderr += data.toString()));
    const done = new Promise<Run>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code) =>
        resolve({
          code,
          stdout,
          stderr,
          text: `${stdout}${stderr}`.replace(/\u001b\[\d+m|[│╷╵]/g, "").replace(/\s+/g, " "),
        }),
      );
    });
    return { process: child, done };
  }

  run(...args: string[]): Promise<Run> {
    return this.start(...args, ...(args[0] === "version" ? [] : ["-no-color"])).done;
  }

  /** Runs it and throws unless it ends well. */
  async ok(...args: string[]): Promise<Run> {
    const run = await this.run(...args);
    if (run.code !== 0)
      throw new Error(`terraform ${args.join(" ")} ended with ${run.code}:\n${run.stdout}${run.stderr}`);
    return run;
  }

  apply(...args: string[]): Promise<Run> {
    return this.ok("apply", "-auto-approve", ...args);
  }

  /** `plan`, as JSON. */
  async plan(...args: string[]): Promise<Plan> {
    await this.ok("plan", "-out=plan.bin", ...args);
    return JSON.parse((await this.ok("show", "-json", "plan.bin")).stdout) as Plan;
  }

  /** The exit code of `plan -detailed-exitcode`: 0 is an empty plan. */
  async planExit(...args: string[]): Promise<number | null> {
    const run = await this.run("plan", "-detailed-exitcode", ...args);
    if (run.code === 1) throw new Error(run.text);
    return run.code;
  }

  /** What `validate` has to say. */
  async diagnostics(): Promise<Diagnostic[]> {
    return (JSON.parse((await this.run("validate", "-json")).stdout) as { diagnostics: Diagnostic[] })
      .diagnostics;
  }

  /** The state file, as text and as JSON. */
  state(): { text: string; resources: { type: string; name: string; instances: StateInstance[] }[] } {
    const text = readFileSync(join(this.directory, "terraform.tfstate"), "utf8");
    return {
      text,
      ...(JSON.parse(text) as { resources: { type: string; name: string; instances: StateInstance[] }[] }),
    };
  }

  /** The attributes of the only instance of a type in the state. */
  attributes(type: string): Record<string, never> {
    return this.state().resources.find((resource) => resource.type === type)!.instances[0]!.attributes;
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export interface StateInstance {
  readonly status?: string;
  readonly schema_version: number;
  readonly attributes: Record<string, never>;
  readonly private?: string;
}

export interface Plan {
  readonly resource_changes: {
    readonly address: string;
    readonly change: {
      readonly actions: string[];
      readonly before: Record<string, unknown> | null;
      readonly after: Record<string, unknown> | null;
      readonly after_unknown: Record<string, unknown>;
      readonly replace_paths?: unknown[];
    };
  }[];
}
