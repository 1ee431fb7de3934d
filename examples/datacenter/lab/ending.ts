import type { LabState } from "./state";
import { tearDown } from "./tear-down";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
const open = new Set<() => LabState>();
let listening = false;

/** Has a lab torn down when this process ends, also by Ctrl-C. @returns takes that back */
export function endWithProcess(state: () => LabState): () => void {
  if (!listening) {
    listening = true;
    process.on("exit", tearDownAll);
    for (const signal of SIGNALS) process.on(signal, () => endUnlessHandled(signal));
  }
  open.add(state);
  return () => open.delete(state);
}

/** Whoever handles the signal too decides when this process ends. */
function endUnlessHandled(signal: NodeJS.Signals): void {
  if (process.listenerCount(signal) === 1) process.exit(130);
}

function tearDownAll(): void {
  for (const state of open) {
    open.delete(state);
    try {
      tearDown(state());
    } catch (problem) {
      process.stderr.write(`${(problem as Error).message}\n`);
    }
  }
}
