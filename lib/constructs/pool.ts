import { isIP } from "node:net";
import { Token } from "cdktf";
import type { Construct, IConstruct } from "constructs";
import type { PoolConfig } from "./bindings/pool";
import { hclDuration } from "./durations";
import type { HealthMonitor } from "./health-monitor";
import type { IImageReplica } from "./image-replica";
import type { Condition } from "./condition";
import type { Site } from "./site";
import { durationRule, nameRule, portRule, rule, textRule, wholeRule } from "./validate";
import type { Rule } from "./validate";

const HOST_NAME = /^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** How a pool treats its members and its users; a burst's cloud pool takes it over from the pool at home. */
export interface PoolSettings {
  /**
   * What the local balancer forwards: requests or connections.
   * @default "http"
   */
  readonly mode?: "http" | "tcp";
  /**
   * How the local balancer judges a member's health.
   * @default - an HTTP GET of / every 2 s
   */
  readonly monitor?: HealthMonitor;
  /**
   * `cookie`: a user stays with a member while it is up and not draining.
   * @default "cookie", for connections "none"
   */
  readonly affinity?: "none" | "cookie";
  /**
   * Requests that a member takes at once; more wait in the local balancer. 0 for no limit.
   * @default 0
   */
  readonly maxConnections?: number;
  /**
   * Milliseconds after which a user who sent nothing is no longer a session.
   * @default 30000
   */
  readonly sessionIdleMs?: number;
  /**
   * Host names that users ask for. Requests for any other name (scanners, strangers' monitors) are answered all the same, but keep
   * no gate open. Empty: every request is a user's.
   * @default - every request is a user's; at a burst's cloud pool over HTTP, the record's name
   */
  readonly hosts?: readonly string[];
  /**
   * Environment of each member. Not for secrets: it is kept in Terraform's state.
   * @default - none
   */
  readonly environment?: Readonly<Record<string, string>>;
  /**
   * Milliseconds that a member may take from its launch until it is up.
   * @default 120000
   */
  readonly launchTimeoutMs?: number;
  /**
   * Milliseconds that a leaving member may take to lose its last session; then it is ended all the same.
   * @default 600000
   */
  readonly drainTimeoutMs?: number;
}

/** What pools have in common, wherever they are. */
export interface PoolProps extends PoolSettings {
  /** What members are launched from. The pool is at the replica's site. */
  readonly replica: IImageReplica;
  /** How many members. At least 1. */
  readonly members: number;
  /** Where users connect. Answers of a global record carry no port: its pools share one. */
  readonly port: number;
  /**
   * The pool's name at its site. A change replaces the pool.
   * @default - the construct's id
   */
  readonly poolName?: string;
  /**
   * Another image of the site than the replica's: `sha256:` and 64 hex digits.
   * @default - the replica's
   */
  readonly imageDigest?: string;
  /**
   * The address that the local balancer listens on.
   * @default - the site's address
   */
  readonly listenAddress?: string;
  /**
   * Who the site is told owns the pool. Another owner's pool is never taken over.
   * @default - the construct's path
   */
  readonly owner?: string;
}

/** Members behind a local balancer at a site. */
export interface IPool extends IConstruct {
  /** `SITE/NAME`. */
  readonly poolId: string;
  readonly poolName: string;
  readonly site: Site;
  readonly port: number;
  readonly members: number;
  /** What was said of it; what was not has the defaults. */
  readonly settings: PoolSettings;
  /** When it is there; undefined for always. */
  readonly condition?: Condition;
}

/**
 * The settings among the props.
 * @internal
 */
export function settingsOf(props: PoolSettings): PoolSettings {
  const {
    mode,
    monitor,
    affinity,
    maxConnections,
    sessionIdleMs,
    hosts,
    environment,
    launchTimeoutMs,
    drainTimeoutMs,
  } = props;
  return {
    mode,
    monitor,
    affinity,
    maxConnections,
    sessionIdleMs,
    hosts,
    environment,
    launchTimeoutMs,
    drainTimeoutMs,
  };
}

/** @internal */
export function poolRules(props: PoolProps, poolName: string): readonly Rule[] {
  const listen = props.listenAddress ?? props.replica.site.address;
  return [
    nameRule("poolName", poolName),
    wholeRule("members", props.members, 1, "To have no members, leave the pool out, or use `when`."),
    portRule("port", props.port),
    rule(
      Token.isUnresolved(listen) || isIP(listen) !== 0,
      "listenAddress",
      `must be an IP address, got ${JSON.stringify(listen)}${props.listenAddress === undefined ? ", the site's address" : ""}`,
      "Give the address that the local balancer listens on; 0.0.0.0 is all of the site's.",
    ),
    wholeRule("maxConnections", props.maxConnections, 0, "0 is no limit."),
    durationRule("sessionIdleMs", props.sessionIdleMs),
    durationRule("launchTimeoutMs", props.launchTimeoutMs),
    durationRule("drainTimeoutMs", props.drainTimeoutMs, 0),
    textRule("owner", props.owner, "Leave it out to use the construct's path."),
    rule(
      props.mode !== "tcp" ||
        (props.monitor?.props.type ?? "tcp") === "tcp" ||
        props.monitor?.props.path !== undefined,
      "monitor",
      "asks over HTTP at a pool that forwards connections",
      "Use a tcp monitor, or give the monitor a path if the members do speak HTTP.",
    ),
    rule(
      props.mode !== "tcp" || props.affinity !== "cookie",
      "affinity",
      "is cookie at a pool that forwards connections",
      "A cookie needs HTTP. Leave it out.",
    ),
    rule(
      props.mode !== "tcp" || !props.hosts?.length,
      "hosts",
      "is given for a pool that forwards connections",
      "Only HTTP says which host is asked for. Leave it out.",
    ),
    ...(props.hosts ?? []).map((host) =>
      rule(
        Token.isUnresolved(props.hosts) || Token.isUnresolved(host) || HOST_NAME.test(host),
        "hosts",
        `must not hold ${JSON.stringify(host)}`,
        "Give lower-case host names such as shop.example.com, without a port.",
      ),
    ),
    ...Object.keys(props.environment ?? {}).map((name) =>
      rule(
        /^(?!(?:HOST|PORT|SPILLWAY_.*)$)[A-Za-z_][A-Za-z0-9_]*$/.test(name),
        "environment",
        `must not hold ${JSON.stringify(name)}`,
        "Use letters, digits and underscores; HOST, PORT and SPILLWAY_... are set by the site.",
      ),
    ),
  ];
}

/** @internal */
export function renderPool(scope: Construct, props: PoolProps, poolName: string): PoolConfig {
  return {
    site: props.replica.site.name,
    name: poolName,
    owner: props.owner ?? scope.node.path,
    imageDigest: props.imageDigest ?? props.replica.imageDigest,
    members: props.members,
    listen: {
      address: props.listenAddress ?? props.replica.site.address,
      port: props.port,
      mode: props.mode,
    },
    monitor: props.monitor?.render(),
    affinity: props.affinity ?? (props.mode === "tcp" ? "none" : undefined),
    maxConnections: props.maxConnections,
    sessionIdle: hclDuration(props.sessionIdleMs),
    hosts: props.hosts && [...props.hosts],
    environment: props.environment && { ...props.environment },
    launchTimeout: hclDuration(props.launchTimeoutMs),
    drainTimeout: hclDuration(props.drainTimeoutMs),
  };
}
