import { a, timeouts, type State } from "../plugin";
import {
  isAtLeast,
  isBetween,
  isDigest,
  isDuration,
  isHostName,
  isIpAddress,
  isNotEmpty,
  isOneOf,
  isPoolName,
  isPositiveDuration,
  isSiteName,
} from "./checks";
import { monitorAttributes } from "./monitor";

export const poolSchema = {
  id: a.string().computed().keepPrior().describe("`SITE/NAME`."),
  site: a.string().forceNew().check(isSiteName).describe("The site that runs it."),
  name: a.string().forceNew().check(isPoolName).describe("Its name at the site."),
  owner: a
    .string()
    .default("terraform")
    .check(isNotEmpty)
    .describe("Who declares it. A pool of another owner is never taken over, changed or taken down."),
  image_digest: a
    .string()
    .check(isDigest)
    .describe(
      "The image its members run, which the site must hold complete: refer to a replica's `digest`. A change replaces member after member.",
    ),
  members: a
    .integer()
    .check(isAtLeast(1))
    .describe("How many members run. A member that leaves is drained first."),
  listen: a
    .nested({
      address: a.string().check(isIpAddress).describe("An IP address of the site."),
      port: a.integer().check(isBetween(1, 65_535)).describe("TCP port."),
      mode: a.string().default("http").check(isOneOf("http", "tcp")).describe("`http` or `tcp`."),
    })
    .describe("Where the local balancer takes users for this pool."),
  monitor: a
    .nested(monitorAttributes("2s"))
    .default({})
    .describe("How the local balancer judges each member's health."),
  affinity: a
    .string()
    .default("cookie")
    .check(isOneOf("none", "cookie"))
    .describe("`cookie`: a user stays with a member while it is up and not draining. `none` for tcp."),
  max_connections: a
    .integer()
    .default(0)
    .check(isAtLeast(0))
    .describe("Concurrent requests that a member takes; more wait in the balancer's queue. 0: no limit."),
  session_idle: a
    .string()
    .default("30s")
    .check(isDuration)
    .describe("A user who sent nothing for so long is no longer a session."),
  hosts: a
    .list(a.string().check(isHostName))
    .optional()
    .describe(
      "Host names that users ask for. Requests for any other name (scanners, strangers' monitors) are answered all the same, but keep no gate open. Default: every request is a user's. Only in mode http.",
    ),
  environment: a
    .map(a.string())
    .optional()
    .describe("Environment of each member. It is kept in the state: not for secrets."),
  launch_timeout: a
    .string()
    .default("2m")
    .check(isPositiveDuration)
    .describe("A member gets so long to become up."),
  drain_timeout: a
    .string()
    .default("10m")
    .check(isDuration)
    .describe("A leaving member gets so long to lose its last session; then it is ended all the same."),
  timeouts: timeouts({ create: "10m", update: "1h", delete: "1h" }),
  address: a.string().computed().keepPrior().describe("`ADDRESS:PORT`, where users reach it."),
  status: a
    .string()
    .computed()
    .describe(
      "`ready`, `failed` (marked for a new try), `leaving` (a take-down that was cut off) or `launching` (a growth behind an open gate that was cut off). In all but the first the next plan brings it back to `ready`.",
    ),
};

export type PoolState = State<typeof poolSchema>;
