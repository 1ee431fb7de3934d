import { App, LocalBackend, TerraformStack, Testing } from "cdktf";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ProblemReport } from "../../../lib";
import { HealthMonitor, Image, Site, SpillwayError, SpillwayErrors } from "../../../lib";

export const onprem = new Site("onprem", { endpoint: "http://127.0.0.1:7501", address: "127.0.1.1" });
export const cloud = new Site("cloud", { endpoint: "http://127.0.0.1:7502", address: "127.0.2.1" });
export const image = new Image({ source: "/images/shop.tar" });
export const monitor = new HealthMonitor({ path: "/healthz" });
export const DIGEST = `sha256:${"a".repeat(64)}`;

/** A synthesised stack, as far as tests look into it. */
export interface Synthesised {
  readonly provider: { readonly spillway: readonly { readonly sites?: Record<string, unknown> }[] };
  readonly resource: Record<string, Record<string, Record<string, unknown>>>;
  readonly locals: Record<string, unknown>;
  readonly variable: Record<string, Record<string, unknown>>;
  readonly output: Record<string, Record<string, unknown>>;
}

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** An empty stack named `shop`. Its app writes to a folder that goes when the tests of the file are over. */
export function newStack(name = "shop", app?: App): TerraformStack {
  const folder = mkdtempSync(join(tmpdir(), "spillway-synth-"));
  folders.push(folder);
  const stack = new TerraformStack(app ?? new App({ outdir: folder }), name);
  new LocalBackend(stack, { path: "../../../shop.tfstate" });
  return stack;
}

/** What the stack would be written as, validations included. */
export function synth(stack: TerraformStack): Synthesised {
  return JSON.parse(Testing.synth(stack, true)) as Synthesised;
}

/** What stands under the root comment key of the file that is really written. */
export function notesOf(stack: TerraformStack): {
  readonly spillway?: { readonly bursts: Record<string, unknown> };
} {
  const app = App.of(stack);
  app.synth();
  const file = join(app.outdir, "stacks", stack.node.id, "cdk.tf.json");
  return (JSON.parse(readFileSync(file, "utf8")) as { "//": object })["//"];
}

/** The resources of one type, without CDKTF's own notes. */
export function resourcesOf(stack: TerraformStack, type: string): Record<string, unknown>[] {
  return Object.values(synth(stack).resource[type] ?? {}).map(({ "//": _notes, ...rest }) => rest);
}

/** The problems that doing something is refused with. */
export function problemsOf(act: () => unknown): readonly ProblemReport[] {
  try {
    act();
  } catch (error) {
    if (error instanceof SpillwayErrors) return error.errors.map((each) => each.report);
    if (error instanceof SpillwayError) return [error.report];
    throw error;
  }
  return [];
}

/** Their sentences. */
export function refusalsOf(act: () => unknown): readonly string[] {
  return problemsOf(act).map((report) => report.problem);
}
