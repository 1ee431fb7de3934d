import { appendFileSync } from "node:fs";
import type { Progress, StepContext } from "../../../lib/wait";
import type { HandlerContext, ResourceContext } from "../plugin";

/**
 * What a step gets from a handler. Terraform has no way to show progress while it runs, so each line goes to the file that the
 * environment variable SPILLWAY_PROGRESS names (one JSON object per line), and to Terraform's log.
 */
export function stepContext(ctx: HandlerContext): StepContext {
  return {
    signal: ctx.signal,
    progress: (progress) => {
      ctx.log("info", `${progress.step} ${progress.subject}: ${progress.message}`);
      append(progress);
    },
  };
}

function append(progress: Progress): void {
  const file = process.env.SPILLWAY_PROGRESS;
  if (!file) return;
  try {
    appendFileSync(file, `${JSON.stringify({ at: Date.now(), ...progress })}\n`);
  } catch {
    // A progress file that cannot be written must not end what it tells of.
  }
}

/** A step's own deadline comes a little before the framework's: a wait that ends by itself can say what it saw last. */
export function deadlineMs<Client>(ctx: ResourceContext<Client>): number {
  const { timeoutMs } = ctx;
  if (timeoutMs === undefined) return Number.MAX_SAFE_INTEGER;
  return Math.max(1, timeoutMs - Math.min(1_000, timeoutMs / 10));
}
