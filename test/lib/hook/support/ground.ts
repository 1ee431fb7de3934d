import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stateDirectory } from "../../../../lib/hook";
import type { DesiredParameters } from "../../../../lib/desired";
import { HookChild } from "./child";
import { makeProject, type Project, type StackOptions } from "./stack";
import { terraform } from "./world";

/** A deployed project, and the hooks that are started (and killed) on it. */
export class Ground {
  readonly project: Project;
  private readonly demandFile: string;
  private readonly children: HookChild[] = [];

  constructor(options: StackOptions = {}, parameters?: DesiredParameters) {
    this.project = makeProject(options);
    this.demandFile = join(this.project.directories.project, "demand");
    if (parameters) writeFileSync(this.project.parametersFile, JSON.stringify({ shop: parameters }));
    terraform(
      this.project.directories.stack,
      "apply",
      "-auto-approve",
      `-var-file=${this.project.parametersFile}`,
    );
  }

  start(more: { dieOn?: string; dieAt?: number } = {}): HookChild {
    const { project } = this.project.directories;
    const child = new HookChild({ project, demandFile: this.demandFile, ...more });
    this.children.push(child);
    return child;
  }

  demand(rps: number): void {
    writeFileSync(this.demandFile, String(rps));
  }

  parameters(): DesiredParameters {
    return (JSON.parse(readFileSync(this.project.parametersFile, "utf8")) as { shop: DesiredParameters })
      .shop;
  }

  happened(): string[] {
    const { log } = this.project;
    return existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : [];
  }

  /** Stops a hook in good order; nothing is left to do, and nothing is left lying about. */
  async endsCleanly(child: HookChild): Promise<void> {
    child.kill("SIGTERM");
    expect(await child.exit).toEqual({ code: 0, signal: null });
    const { project, stack } = this.project.directories;
    expect(terraform(stack, "plan", `-var-file=${this.project.parametersFile}`)).toContain("No changes");
    expect(readdirSync(stateDirectory(project, "shop").path).sort()).toEqual([
      "journal.jsonl",
      "status.json",
    ]);
  }

  async remove(): Promise<void> {
    for (const child of this.children) {
      child.kill("SIGKILL");
      await child.exit;
    }
    this.project.remove();
  }
}

/** The hook has come to rest in that phase. */
export async function restsIn(child: HookChild, phase: string): Promise<void> {
  await child.until(
    ({ event }) => event.kind === "decided" && (event.decision as { phase: string }).phase === phase,
  );
}
