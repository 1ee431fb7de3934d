/** What may be chosen about a pool's place in HAProxy beyond what the pool itself says. */
export interface HaproxySettings {
  /** A member that comes up takes so long to reach its full share. Milliseconds. @default 0 */
  readonly slowStartMs?: number;
  /**
   * An agent on each member that HAProxy asks for a weight (`30%`), `drain`, `maint`, `up` or `down` (configuration manual,
   * `agent-check`). What it says holds over the weights set here.
   * @default - none
   */
  readonly agentCheck?: { readonly port: number; readonly intervalMs: number };
  /** A kept-alive connection without a request is closed after so long; so long a quiesce waits for it at most. @default 10000 */
  readonly keepAliveMs?: number;
  /** A member may take so long for the next part of its answer. Milliseconds. @default 300000 */
  readonly serverTimeoutMs?: number;
  /** A WebSocket or another tunnel may be silent for so long. Milliseconds. @default 3600000 */
  readonly tunnelTimeoutMs?: number;
  /** A request waits so long for a place on a member. Milliseconds. @default 5000 */
  readonly queueTimeoutMs?: number;
  /**
   * Where a managed HAProxy gives its own metrics to Prometheus, at `/metrics`: `10.0.0.2:8405`, or `[::1]:8405`. Whoever can connect
   * there may read them.
   * @default - nowhere
   */
  readonly exporter?: string;
}

export const DEFAULTS = {
  keepAliveMs: 10_000,
  serverTimeoutMs: 300_000,
  tunnelTimeoutMs: 3_600_000,
  queueTimeoutMs: 5_000,
} as const;
