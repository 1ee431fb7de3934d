/** What the choice of a member looks at. */
export interface Candidate {
  readonly up: boolean;
  readonly draining: boolean;
  /** A request just failed on it, and no good probe has been seen since. */
  readonly suspicious: boolean;
  readonly inFlight: number;
  /** 1 or more. */
  readonly weight: number;
}

/**
 * The member for a new user: the least loaded by its weight of those that are up, are not draining and have room. Suspicious ones
 * only when there is no other. When all that are up are draining they are taken after all: better a longer drain than a refusal.
 * Equals are taken in turn, from `turn` on.
 */
export function chooseMember<M extends Candidate>(
  members: readonly M[],
  maxConnections: number,
  turn: number,
  avoid?: ReadonlySet<M>,
): M | undefined {
  const allDrain = !members.some((member) => member.up && !member.draining);
  let best: M | undefined;
  for (let step = 0; step < members.length; step += 1) {
    const member = members[(turn + step) % members.length];
    if (!member.up || (member.draining && !allDrain)) continue;
    if (maxConnections > 0 && member.inFlight >= maxConnections) continue;
    if (avoid !== undefined && avoid.has(member)) continue;
    if (best === undefined || isBetter(member, best)) best = member;
  }
  return best;
}

function isBetter(one: Candidate, other: Candidate): boolean {
  if (one.suspicious !== other.suspicious) return other.suspicious;
  return (one.inFlight + 1) * other.weight < (other.inFlight + 1) * one.weight;
}
