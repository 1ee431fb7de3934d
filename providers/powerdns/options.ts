import { throwProblems, type ProblemReport } from "../../lib/errors";
import { nameProblem, normalName } from "../local/nameserver/names";
import {
  isLoopback,
  parseHostPort,
  type HostPort,
  type Instance,
  type InstanceSource,
  type SecretSource,
} from "../dns";

/** How PowerDNS itself sees whether a site serves (`ifurlup`, `ifportup`). It asks each answer's address. */
export interface HealthCheck {
  /** `tcp`: a connection is enough. It counts as a user's at a balancer, so prefer `http` with a `host` that no user asks for. */
  readonly type: "http" | "https" | "tcp";
  readonly port: number;
  /** @default "/" */
  readonly path?: string;
  /** Host header of the check. @default "health.spillway.invalid" */
  readonly host?: string;
  /** Text that the answer must hold. @default - status 200 is enough */
  readonly match?: string;
  /** @default 2 */
  readonly timeoutSeconds?: number;
}

/** A lower TTL around a change of answers. */
export interface ShiftTtl {
  /** The TTL while answers are being shifted. */
  readonly ttlSeconds: number;
  /**
   * A put that changes answers waits so long, at most, until answers with the higher TTL have left all caches.
   * @default 0: call `prepareShift` as long ahead as the TTL is, when the launch begins
   */
  readonly waitMs?: number;
  /** The declared TTL comes back so long after the last change. @default 60000 */
  readonly holdMs?: number;
}

export interface PowerDnsOptions extends Instance {
  /** Where its HTTP API is: `http://192.0.2.53:8081`. */
  readonly api: string;
  readonly apiKey: SecretSource;
  /** The key may go over plain http to another machine: nobody else is on that network. @default false */
  readonly allowPlainHttp?: boolean;
  /** @default "localhost", the only one that an authoritative server has */
  readonly serverId?: string;
  /** Zones that records may be in. Nothing outside of them is looked at. */
  readonly zones: readonly string[];
  /** Where it answers queries: `192.0.2.53:53`. */
  readonly endpoint: string;
  /** Who writes: unique among all installations that write to this server, and the same after a restart. */
  readonly agent: string;
  /** @default - answers are given by weight only */
  readonly health?: HealthCheck;
  /**
   * `random`: each query is answered anew. `client`: by a hash of the client's subnet (EDNS client subnet, else the resolver's
   * address), so that a client stays where it is while its share does; wants many different clients.
   * @default "random"
   */
  readonly select?: "random" | "client";
  /**
   * The zones have the metadata ENABLE-LUA-RECORDS, and `enable-lua-records` is not set for all. The API does not tell it: without
   * this, the check would take it for missing.
   * @default false
   */
  readonly luaByZone?: boolean;
  /** A new address must be seen up by PowerDNS within this time. @default 8000 */
  readonly warmUpMs?: number;
  /** @default - the declared TTL is always given */
  readonly shift?: ShiftTtl;
  /** Secondaries of the zones, `address:port`: a change is done when they have it. @default - none is waited for */
  readonly secondaries?: readonly string[];
  /** @default 5000 */
  readonly secondariesMs?: number;
  /** One request to the API. @default 5000 */
  readonly requestMs?: number;
  /** Told of each step of a put as it begins. */
  readonly onStep?: (name: string, step: PutStep) => void;
}

/** What a put does, in order. */
export type PutStep =
  | { readonly kind: "lower-ttl"; readonly ttlSeconds: number; readonly waitMs: number }
  | { readonly kind: "warm-up"; readonly addresses: readonly string[] }
  | { readonly kind: "write"; readonly ttlSeconds: number }
  | { readonly kind: "follow"; readonly secondaries: readonly string[] }
  | { readonly kind: "raise-ttl"; readonly ttlSeconds: number; readonly afterMs: number };

/** A change that takes longer is given up by whoever asked for it. */
const MOST_BEFORE_MS = 45_000;

/** Options, checked, with defaults. */
export interface Settings extends Required<
  Omit<PowerDnsOptions, "health" | "shift" | "secondaries" | "endpoint" | "instance">
> {
  readonly endpoint: HostPort;
  readonly secondaries: readonly HostPort[];
  readonly instance?: InstanceSource;
  readonly health: HealthCheck | undefined;
  readonly shift: Required<ShiftTtl> | undefined;
}

/** @throws SpillwayError, SpillwayErrors for all that is wrong */
export function settingsOf(options: PowerDnsOptions): Settings {
  throwProblems(optionProblems(options));
  const { shift } = options;
  return {
    api: options.api.replace(/\/+$/, "").replace(/\/api\/v1$/, ""),
    apiKey: options.apiKey,
    allowPlainHttp: options.allowPlainHttp ?? false,
    serverId: options.serverId ?? "localhost",
    zones: options.zones.map(normalName),
    endpoint: parseHostPort(options.endpoint, 53),
    agent: options.agent,
    ...(options.instance === undefined ? {} : { instance: options.instance }),
    takeOver: options.takeOver ?? false,
    health: options.health,
    select: options.select ?? "random",
    luaByZone: options.luaByZone ?? false,
    warmUpMs: options.warmUpMs ?? 8_000,
    shift: shift && {
      ttlSeconds: shift.ttlSeconds,
      waitMs: shift.waitMs ?? 0,
      holdMs: shift.holdMs ?? 60_000,
    },
    secondaries: (options.secondaries ?? []).map((one) => parseHostPort(one, 53)),
    secondariesMs: options.secondariesMs ?? 5_000,
    requestMs: options.requestMs ?? 5_000,
    onStep: options.onStep ?? (() => undefined),
  };
}

function optionProblems(options: PowerDnsOptions): ProblemReport[] {
  const problems: ProblemReport[] = [];
  const add = (attribute: string, problem: string, mend: string) =>
    problems.push({ place: "PowerDNS options", problem, mend, attribute: [attribute] });
  if (!URL.canParse(options.api) || !/^https?:$/.test(new URL(options.api).protocol))
    add(
      "api",
      `\`api\` must be an http or https URL, got "${options.api}"`,
      "Write it as http://192.0.2.53:8081.",
    );
  else if (
    new URL(options.api).protocol === "http:" &&
    !isLoopback(new URL(options.api).hostname) &&
    options.allowPlainHttp !== true
  )
    add(
      "api",
      `\`api\` is plain http to ${new URL(options.api).hostname}, which would carry the API key in clear`,
      "Use https (PowerDNS has none: a proxy beside it), 127.0.0.1 through a tunnel, or set `allowPlainHttp` where nobody else is on that network.",
    );
  if (options.agent === "")
    add("agent", "`agent` is empty", "Name the installation, as no other that writes to this server.");
  if (options.zones.length === 0) add("zones", "`zones` is empty", "Name the zones that records may be in.");
  for (const zone of options.zones) {
    const problem = nameProblem(zone);
    if (problem !== undefined) add("zones", `"${zone}" is no zone: ${problem}`, "Write it as example.com.");
  }
  const { health, shift } = options;
  if (health) {
    if (!Number.isInteger(health.port) || health.port < 1 || health.port > 65_535)
      add(
        "health",
        `its \`port\` must be 1 to 65535, got ${health.port}`,
        "Give the port that users come to.",
      );
    for (const key of ["path", "host", "match"] as const) {
      const value = health[key];
      // It becomes part of a Lua text inside a quoted DNS string.
      if (value !== undefined && !/^[!#-&(-[\]-~]+$/.test(value))
        add(
          "health",
          `its \`${key}\` holds a quote, a backslash or white space: ${value}`,
          "Percent-encode it.",
        );
    }
    for (const key of ["path", "host", "match"] as const)
      if ((health[key] ?? "").length > 100)
        add(
          "health",
          `its \`${key}\` has ${health[key]?.length} characters, 100 are the most`,
          "Shorten it.",
        );
    if (health.path !== undefined && !health.path.startsWith("/"))
      add("health", `its \`path\` must begin with /, got ${health.path}`, "Give the path alone.");
    const timeout = health.timeoutSeconds ?? 2;
    if (!Number.isInteger(timeout) || timeout < 1)
      add(
        "health",
        `its \`timeoutSeconds\` must be a whole number from 1, got ${timeout}`,
        "PowerDNS knows whole seconds.",
      );
  }
  const beforeMs = (options.warmUpMs ?? 8_000) + (shift?.waitMs ?? 0);
  if (beforeMs > MOST_BEFORE_MS)
    add(
      "shift",
      `its \`waitMs\` and \`warmUpMs\` together must be at most ${MOST_BEFORE_MS}, got ${beforeMs}: nobody waits longer for a change`,
      "Leave `waitMs` out: the TTL is lowered when a launch begins.",
    );
  if (shift && (!Number.isInteger(shift.ttlSeconds) || shift.ttlSeconds < 1))
    add(
      "shift",
      `its \`ttlSeconds\` must be a whole number from 1, got ${shift.ttlSeconds}`,
      "5 is short enough for most.",
    );
  return problems;
}
