import { Route53HealthCheck } from "@cdktf/provider-aws/lib/route53-health-check";
import { BlockList, isIP } from "node:net";
import { Token } from "cdktf";
import type { TerraformProvider } from "cdktf";
import type { Construct } from "constructs";
import type { HealthMonitor } from "../../../lib/constructs/health-monitor";
import { portRule, rule } from "../../../lib/constructs/validate";
import type { Rule } from "../../../lib/constructs/validate";
import { plainName } from "./hosted-zone";
import type { AwsTags } from "./tags";

/** How Route 53 judges an answer, from several places of the world. It is paid for. */
export interface Route53Health {
  /** Where it asks. */
  readonly port: number;
  /**
   * What it asks for. Route 53 takes answers from 200 to 399 for good ones, and looks at neither `rise` nor `timeoutMs`.
   * @default - a GET of /
   */
  readonly monitor?: HealthMonitor;
  /**
   * Over TLS.
   * @default - at ports 443 and 8443
   */
  readonly tls?: boolean;
  /**
   * Every 10 seconds instead of every 30, at a higher price.
   * @default false
   */
  readonly fast?: boolean;
}

/** Networks that Route 53 does not reach, and refuses to check. */
const UNREACHABLE = new BlockList();
for (const [network, bits] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.168.0.0", 16],
  ["224.0.0.0", 3],
] as const)
  UNREACHABLE.addSubnet(network, bits, "ipv4");
for (const [network, bits] of [
  ["::1", 128],
  ["fc00::", 7],
  ["fe80::", 10],
  ["ff00::", 8],
] as const)
  UNREACHABLE.addSubnet(network, bits, "ipv6");

export function healthRules(attribute: string, health: Route53Health, address: string): readonly Rule[] {
  const { type, expectStatus, fall } = health.monitor?.props ?? {};
  const version = isIP(address);
  return [
    portRule(`${attribute}.port`, health.port),
    rule(
      version === 0 || !UNREACHABLE.check(address, version === 4 ? "ipv4" : "ipv6"),
      attribute,
      `asks ${address}, which Route 53 does not reach`,
      "Give `healthCheck: false` for an address that is not public.",
    ),
    rule(
      type === "tcp" || expectStatus === undefined || (expectStatus >= 200 && expectStatus < 400),
      attribute,
      `wants status ${expectStatus}, but Route 53 takes 200 to 399 for good`,
      "Give a monitor of its own, whose path answers with 200.",
    ),
    rule(
      fall === undefined || fall <= 10,
      attribute,
      `wants ${fall} bad answers, but Route 53 counts to 10`,
      "Give a monitor of its own.",
    ),
  ];
}

/** @param name the host name that is asked for */
export function makeHealthCheck(
  scope: Construct,
  health: Route53Health,
  options: {
    readonly address: string;
    readonly name: string;
    readonly title: string;
    readonly tags?: AwsTags;
    readonly provider?: TerraformProvider;
  },
): Route53HealthCheck {
  const { type = "http", path = "/", fall = 3 } = health.monitor?.props ?? {};
  const tls = health.tls ?? (health.port === 443 || health.port === 8443);
  const byAddress = Token.isUnresolved(options.address) || isIP(options.address) !== 0;
  const http = type === "http";
  return new Route53HealthCheck(scope, "HealthCheck", {
    type: http ? (tls ? "HTTPS" : "HTTP") : "TCP",
    ipAddress: byAddress ? options.address : undefined,
    // Beside an address it is the host that is asked for, and the name in TLS.
    fqdn: !byAddress ? plainName(options.address) : http ? plainName(options.name) : undefined,
    enableSni: http && tls ? true : undefined,
    port: health.port,
    resourcePath: http ? path : undefined,
    requestInterval: health.fast ? 10 : 30,
    failureThreshold: fall,
    tags: { Name: options.title, ...options.tags },
    provider: options.provider,
  });
}
