import { formatDuration } from "../../duration";

/** What a person can do when users are still there at the deadline. */
export const DEADLINE_MEND = `Apply again to go on waiting, raise \`timeouts.delete\`, or set \`on_deadline = "force"\` to cut them off.`;

/** Who is left, and what must still pass before a gate closes. */
export function stillToCome(who: string, quietLeftMs: number, ttlLeftMs: number): string {
  const quiet =
    quietLeftMs > 0 ? `${formatSeconds(quietLeftMs)} of quiet still to come` : "quiet for long enough";
  const ttl = ttlLeftMs > 0 ? [`stale answers may live for ${formatSeconds(ttlLeftMs)}`] : [];
  return [who, quiet, ...ttl].join(", ");
}

function formatSeconds(ms: number): string {
  return formatDuration(Math.ceil(ms / 1_000) * 1_000);
}
