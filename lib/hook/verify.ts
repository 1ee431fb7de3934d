import { weightDistance, type Observation } from "../policy";
import type { Clock } from "./options";
import type { Observer } from "./observe";

export interface Verification {
  /** False also when it could not be told. */
  readonly inForce: boolean;
  /** One sentence. */
  readonly detail: string;
}

/**
 * Accepted is not in force: looks at the name server until it answers with the weights that were applied, or `timeoutMs` have passed.
 * @throws AbortedError
 */
export async function verify(options: {
  readonly weights: Readonly<Record<string, number>>;
  readonly observe: Observer;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}): Promise<Verification> {
  const { clock, weights } = options;
  const deadline = clock.now() + options.timeoutMs;
  for (;;) {
    const seen = (await options.observe(options.signal)).recordWeights;
    const found = judge(seen, weights);
    if (found.inForce || clock.now() >= deadline) return found;
    await clock.sleep(Math.min(250, options.timeoutMs), options.signal);
  }
}

function judge(seen: Observation["recordWeights"], weights: Readonly<Record<string, number>>): Verification {
  if (seen === undefined) return { inForce: false, detail: "the name server cannot be asked" };
  const text = weightsInWords(seen);
  return weightDistance(seen, weights) === 0
    ? { inForce: true, detail: `the name server answers ${text}` }
    : {
        inForce: false,
        detail: `the name server answers ${text}, where ${weightsInWords(weights)} was applied`,
      };
}

/** `cloud 60, onprem 40`, or `nothing`. */
export function weightsInWords(weights: Readonly<Record<string, number>>): string {
  const parts = Object.entries(weights).sort(([a], [b]) => (a < b ? -1 : 1));
  return parts.length === 0 ? "nothing" : parts.map(([site, weight]) => `${site} ${weight}`).join(", ");
}
