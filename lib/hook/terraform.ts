import { rmSync } from "node:fs";
import { join } from "node:path";
import { AbortedError, SpillwayError } from "../errors";
import type { ProcessHandle } from "../process-identity";
import { parsePlan, type PlanModel } from "../review";
import { runTerraform, type ProcessOptions, type RunResult } from "./terraform-process";
import {
  errorsText,
  parseTerraformEvent,
  type TerraformDiagnostic,
  type TerraformEvent,
} from "./terraform-events";

export interface TerraformOptions extends ProcessOptions {
  /** How long to wait for the state's lock. */
  readonly lockTimeoutMs: number;
  /** Given to every plan, before its own variable file. @default - none */
  readonly otherVariableFiles?: readonly string[];
}

/** A plan that waits to be applied. Its file holds configuration in clear: dispose of it. */
export interface SavedPlan {
  readonly model: PlanModel;
  readonly file: string;
  dispose(): void;
}

/** A Terraform command ended with an error. */
export class TerraformError extends SpillwayError {
  override readonly name = "TerraformError";
}

/** Diagnostics after which `terraform init` is what is missing. */
const INIT_NEEDED =
  /Inconsistent dependency lock file|Required plugins are not installed|Module not installed|Backend initialization required|Initialization required|Missing required provider|Plugin did not match|registry\.\S+: there is no package/i;

let counter = 0;

/** Terraform in one stack: plan, look, apply. */
export class Terraform {
  constructor(private readonly options: TerraformOptions) {}

  /**
   * Plans with a variable file, and initialises first if Terraform asks for it.
   * @param options.refresh false: the state is taken for what is there, and no site is asked. @default true
   * @throws TerraformError with Terraform's own words
   * @throws AbortedError
   */
  async plan(
    varFile: string,
    signal: AbortSignal,
    options: { readonly refresh?: boolean; readonly onEvent?: (event: TerraformEvent) => void } = {},
  ): Promise<SavedPlan> {
    const onEvent = options.onEvent ?? (() => undefined);
    counter += 1;
    const file = join(this.options.scratch, `plan-${counter}`);
    const saved = { file, dispose: () => rmSync(file, { force: true }) };
    const args = [
      "plan",
      "-json",
      "-input=false",
      `-out=${file}`,
      ...[...(this.options.otherVariableFiles ?? []), varFile].map((each) => `-var-file=${each}`),
      ...(options.refresh === false ? ["-refresh=false"] : []),
      this.lockTimeout(),
    ];
    try {
      const first = await this.events(args, signal, onEvent);
      if (first.result.code !== 0) {
        if (!INIT_NEEDED.test(`${errorsText(first.diagnostics) ?? ""} ${first.result.stderr}`))
          throw this.failed("plan", first);
        await this.init(signal);
        const second = await this.events(args, signal, onEvent);
        if (second.result.code !== 0) throw this.failed("plan", second);
      }
      const shown = await this.run(["show", "-json", file], signal);
      if (shown.code !== 0) throw this.failed("show", { result: shown, diagnostics: [] });
      return { ...saved, model: parsePlan(shown.stdout) };
    } catch (error) {
      saved.dispose();
      throw error;
    }
  }

  /** Addresses (without index) whose present objects all have `create_before_destroy`: only the state says it of a removal. */
  async createBeforeDestroy(signal: AbortSignal): Promise<ReadonlySet<string>> {
    const pulled = await this.run(["state", "pull"], signal);
    if (pulled.code !== 0) throw this.failed("state pull", { result: pulled, diagnostics: [] });
    return createBeforeDestroyIn(pulled.stdout);
  }

  /**
   * Applies a saved plan.
   * @throws TerraformError with Terraform's own words
   * @throws AbortedError when it was asked to stop and did so before it was done
   */
  async apply(
    plan: SavedPlan,
    signal: AbortSignal,
    hooks: {
      readonly onStart?: (handle: ProcessHandle) => void;
      readonly onEvent?: (event: TerraformEvent) => void;
    } = {},
  ): Promise<void> {
    const args = ["apply", "-json", "-input=false", this.lockTimeout(), plan.file];
    const ended = await this.events(args, signal, hooks.onEvent ?? (() => undefined), hooks.onStart);
    if (ended.result.code !== 0) throw this.failed("apply", ended);
  }

  private async init(signal: AbortSignal): Promise<void> {
    const result = await this.run(["init", "-input=false", "-no-color"], signal);
    if (result.code !== 0) throw this.failed("init", { result, diagnostics: [] });
  }

  private lockTimeout(): string {
    return `-lock-timeout=${Math.ceil(this.options.lockTimeoutMs / 1_000)}s`;
  }

  private async events(
    args: readonly string[],
    signal: AbortSignal,
    onEvent: (event: TerraformEvent) => void,
    onStart?: (handle: ProcessHandle) => void,
  ): Promise<{ result: RunResult; diagnostics: readonly TerraformDiagnostic[] }> {
    const diagnostics: TerraformDiagnostic[] = [];
    const onLine = (line: string) => {
      const event = parseTerraformEvent(line);
      if (!event) return;
      if (event.diagnostic) diagnostics.push(event.diagnostic);
      onEvent(event);
    };
    const result = await runTerraform(this.options, {
      args,
      signal,
      onLine,
      ...(onStart ? { onStart } : {}),
    });
    if (result.aborted && result.code !== 0) throw new AbortedError(`\`${args[0]}\` was stopped`);
    return { result, diagnostics };
  }

  private async run(args: readonly string[], signal: AbortSignal): Promise<RunResult> {
    const result = await runTerraform(this.options, { args, signal });
    if (result.aborted && result.code !== 0) throw new AbortedError(`\`${args[0]}\` was stopped`);
    return result;
  }

  private locked(command: string, { id, who }: Lock): TerraformError {
    const { name } = this.options.tool;
    const by = who === undefined ? "" : ` by ${who}`;
    return new TerraformError({
      place: this.options.directory,
      problem: `\`${name} ${command}\` did not get the state's lock: it is held${by}${id === undefined ? "" : ` (lock ${id})`}`,
      mend: `Wait until that has ended. If it is dead for certain, run \`${name} force-unlock ${id ?? "ID"}\` in that folder.`,
    });
  }

  private failed(
    command: string,
    ended: { result: RunResult; diagnostics: readonly TerraformDiagnostic[] },
  ): TerraformError {
    const { code, stderr } = ended.result;
    const said = errorsText(ended.diagnostics) ?? lastWords(stderr);
    const how = code === undefined ? "was killed" : `ended with code ${code}`;
    const lock = lockIn(ended.diagnostics);
    if (lock) return this.locked(command, lock);
    return new TerraformError({
      place: this.options.directory,
      problem: `\`${this.options.tool.name} ${command}\` ${how}: ${said === "" ? "it said nothing" : said}`,
      mend: `Run \`${this.options.tool.name} plan\` in that folder to see it in full.`,
    });
  }
}

interface Lock {
  readonly id: string | undefined;
  readonly who: string | undefined;
}

/** The lock that kept Terraform from its state, if that is what went wrong. */
function lockIn(diagnostics: readonly TerraformDiagnostic[]): Lock | undefined {
  const found = diagnostics.find(
    ({ severity, summary }) => severity === "error" && /acquiring the state lock/i.test(summary),
  );
  if (!found) return undefined;
  const field = (name: string) =>
    new RegExp(`^\\s*${name}:[ \\t]*(\\S.*)$`, "m").exec(found.detail)?.[1]?.trim();
  return { id: field("ID"), who: field("Who") };
}

function lastWords(text: string): string {
  const plain = text
    .replace(/\u001b\[[0-9;]*m/g, "")
    .replace(/[│╷╵]/g, "")
    .replace(/\s+/g, " ")
    .trim();
  return plain.length <= 2_000 ? plain : `… ${plain.slice(-2_000)}`;
}

interface StateFile {
  readonly resources?: readonly {
    readonly module?: string;
    readonly mode?: string;
    readonly type?: string;
    readonly name?: string;
    readonly instances?: readonly { readonly create_before_destroy?: boolean; readonly deposed?: string }[];
  }[];
}

/** Reads a state (version 4) as `terraform state pull` prints it. */
export function createBeforeDestroyIn(stateJson: string): ReadonlySet<string> {
  const state = (stateJson.trim() === "" ? {} : JSON.parse(stateJson)) as StateFile;
  const found = new Set<string>();
  for (const resource of state.resources ?? []) {
    const present = (resource.instances ?? []).filter((instance) => instance.deposed === undefined);
    if (resource.mode !== "managed" || present.length === 0) continue;
    if (!present.every((instance) => instance.create_before_destroy === true)) continue;
    found.add(
      `${resource.module === undefined ? "" : `${resource.module}.`}${resource.type}.${resource.name}`,
    );
  }
  return found;
}
