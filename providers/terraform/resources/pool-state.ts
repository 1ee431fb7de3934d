import type { PoolSpec, PoolStatus } from "../../../lib/site/api";
import { isGrowing, poolId } from "../../../lib/steps";
import type { Plan, Planned } from "../plugin";
import { durationText, ms, sameDuration } from "./durations";
import { keepMonitorDurations, monitorSpec, monitorState } from "./monitor";
import type { poolSchema, PoolState } from "./pool-schema";

/** What the site is to be told. */
export function poolSpec(planned: Planned<typeof poolSchema> | PoolState, claim: string): PoolSpec {
  const { address, port, mode } = planned.listen;
  return {
    owner: planned.owner,
    image: planned.image_digest,
    members: planned.members,
    listen: { address, port, mode: mode === "tcp" ? "tcp" : "http" },
    monitor: monitorSpec(planned.monitor),
    affinity: planned.affinity === "none" ? "none" : "cookie",
    maxConnections: planned.max_connections,
    sessionIdleMs: ms(planned.session_idle),
    environment: planned.environment ?? {},
    launchTimeoutMs: ms(planned.launch_timeout),
    drainTimeoutMs: ms(planned.drain_timeout),
    claim,
    // What asks for nothing is not sent: agents of an earlier version know no hosts.
    ...(planned.hosts?.length ? { hosts: planned.hosts } : {}),
  };
}

/** What the site says, as a state; told as it was before where it means the same. */
export function poolState(status: PoolStatus, before?: PoolState): PoolState {
  const { name, site, spec } = status;
  const isPlain = Object.keys(spec.environment).length === 0 && before?.environment == null;
  return {
    id: poolId({ site, name }),
    site,
    name,
    owner: spec.owner,
    image_digest: spec.image,
    members: spec.members,
    listen: { ...spec.listen },
    monitor: monitorState(spec.monitor, before?.monitor),
    affinity: spec.affinity,
    max_connections: spec.maxConnections,
    session_idle: durationText(spec.sessionIdleMs, before?.session_idle),
    hosts: spec.hosts?.length ? [...spec.hosts] : before?.hosts?.length === 0 ? [] : null,
    environment: isPlain ? null : { ...spec.environment },
    launch_timeout: durationText(spec.launchTimeoutMs, before?.launch_timeout),
    drain_timeout: durationText(spec.drainTimeoutMs, before?.drain_timeout),
    timeouts: before?.timeouts ?? null,
    address: addressOf(spec.listen),
    status: statusOf(status),
  };
}

/** Only `ready` needs no update. */
function statusOf(status: PoolStatus): string {
  const { phase } = status;
  if (phase === "failed" || phase === "leaving") return phase;
  return isGrowing(status) ? "launching" : "ready";
}

/** `127.0.2.1:8080`, `[::1]:8080` */
export function addressOf({ address, port }: { readonly address: string; readonly port: number }): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Durations that mean the same as before are no change. */
export function keepPoolDurations(plan: Plan<typeof poolSchema>, prior: PoolState): void {
  plan.session_idle = sameDuration(plan.session_idle, prior.session_idle);
  plan.launch_timeout = sameDuration(plan.launch_timeout, prior.launch_timeout);
  plan.drain_timeout = sameDuration(plan.drain_timeout, prior.drain_timeout);
  if (typeof plan.monitor === "object" && "interval" in plan.monitor)
    keepMonitorDurations(plan.monitor, prior.monitor);
}
