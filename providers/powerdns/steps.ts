import type { RecordSpec } from "../../lib/site/api";
import { formatHostPort, type OwnershipMark } from "../dns";
import { answersOf } from "../local/nameserver/records";
import { checkedAddresses } from "./lua";
import type { PutStep, Settings } from "./options";

/** A record as it stands: its mark, and the TTL that is given now. */
export interface Present {
  readonly mark: OwnershipMark;
  readonly ttlSeconds: number;
}

/** What a put will do, in order. Pure: the same goes for showing it as for doing it. */
export function putSteps(
  present: Present | undefined,
  spec: RecordSpec,
  settings: Pick<Settings, "shift" | "health" | "secondaries">,
): readonly PutStep[] {
  const { shift, health, secondaries } = settings;
  const steps: PutStep[] = [];
  const isShift = present !== undefined && sharesOf(present.mark.spec) !== sharesOf(spec);
  const lowered = isShift && shift !== undefined && shift.ttlSeconds < spec.ttlSeconds ? shift : undefined;
  if (present && shift && lowered && present.ttlSeconds > lowered.ttlSeconds) {
    const waitMs = Math.min(present.ttlSeconds * 1_000, shift.waitMs);
    steps.push({ kind: "lower-ttl", ttlSeconds: lowered.ttlSeconds, waitMs });
  }
  const known = new Set(present ? checkedAddresses(present.mark.spec) : []);
  const addresses = health ? checkedAddresses(spec).filter((address) => !known.has(address)) : [];
  if (addresses.length > 0) steps.push({ kind: "warm-up", addresses });
  steps.push({ kind: "write", ttlSeconds: lowered?.ttlSeconds ?? spec.ttlSeconds });
  if (secondaries.length > 0) steps.push({ kind: "follow", secondaries: secondaries.map(formatHostPort) });
  if (lowered) steps.push({ kind: "raise-ttl", ttlSeconds: spec.ttlSeconds, afterMs: lowered.holdMs });
  return steps;
}

/** Who gets what: a change of the TTL alone shifts nobody. */
function sharesOf(spec: RecordSpec): string {
  return answersOf({ ...spec, ttlSeconds: 0 });
}
