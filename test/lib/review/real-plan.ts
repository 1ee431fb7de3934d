import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A stack that real Terraform plans. */
export class Stack {
  readonly directory = mkdtempSync(join(tmpdir(), "spillway-review-"));

  write(hcl: string): void {
    writeFileSync(join(this.directory, "main.tf"), hcl);
  }

  run(...args: string[]): string {
    return execFileSync("terraform", args, {
      cwd: this.directory,
      encoding: "utf8",
      env: {
        ...process.env,
        TF_CLI_CONFIG_FILE: "/dev/null",
        TF_IN_AUTOMATION: "1",
        CHECKPOINT_DISABLE: "1",
      },
    });
  }

  apply(): void {
    this.run("apply", "-auto-approve");
  }

  /** The JSON of a plan. */
  plan(...args: string[]): string {
    this.run("plan", "-out=plan", ...args);
    return this.run("show", "-json", "plan");
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}
