import { Lb } from "@cdktf/provider-aws/lib/lb";
import { LbListener } from "@cdktf/provider-aws/lib/lb-listener";
import { LbListenerRule } from "@cdktf/provider-aws/lib/lb-listener-rule";
import { LbTargetGroup } from "@cdktf/provider-aws/lib/lb-target-group";
import type { Construct } from "constructs";
import type { Condition } from "../../../lib/constructs/condition";
import type { HealthMonitor } from "../../../lib/constructs/health-monitor";
import type { AwsCloudPoolProps } from "./aws-cloud-pool-props";
import { hasSharedListener, isNetwork } from "./aws-cloud-pool-rules";
import { AwsLoadBalancer } from "./load-balancer";
import { attribute, countOf } from "./reference";
import type { PoolSecurity } from "./security";

const TLS_1_2 = "ELBSecurityPolicy-TLS13-1-2-2021-06";
const DAY_S = 86_400;

export interface PoolBalancer {
  readonly targetGroup: LbTargetGroup;
  /** Undefined with one that is there already. */
  readonly loadBalancer?: Lb;
  /** Undefined with a listener that is there already. */
  readonly listener?: LbListener;
  /** Only with a listener that is there already. */
  readonly listenerRule?: LbListenerRule;
  readonly name: string;
  readonly arn: string;
  readonly dnsName: string;
  readonly zoneId: string;
}

/** Target group always; balancer and listener while the pool is there, or always if it is to be kept. */
export function makeBalancer(
  scope: Construct,
  poolName: string,
  props: AwsCloudPoolProps,
  made: { readonly security: PoolSecurity; readonly when?: Condition },
  tags: Readonly<Record<string, string>>,
): PoolBalancer {
  const { provider } = props;
  const network = isNetwork(props.balancer);
  const given = props.balancer instanceof AwsLoadBalancer ? props.balancer : undefined;
  const count = props.keepLoadBalancer ? undefined : countOf(made.when);
  const targetGroup = makeTargetGroup(scope, poolName, props, network, tags);
  const loadBalancer = given
    ? undefined
    : makeLoadBalancer(scope, poolName, props, made, network, tags, count);
  const arn = given?.arn ?? attribute(loadBalancer!, "arn");
  const forward = [{ type: "forward", targetGroupArn: attribute(targetGroup, "arn") }];
  const shared = hasSharedListener(props);
  const listener = shared
    ? undefined
    : new LbListener(scope, "listener", {
        loadBalancerArn: arn,
        port: props.port,
        ...listenerSecurity(props, network),
        defaultAction: forward,
        tags,
        count,
        provider,
      });
  const listenerRule = shared
    ? new LbListenerRule(scope, "listener-rule", {
        listenerArn: given!.listenerArn!,
        condition: [{ hostHeader: { values: [...(props.hosts ?? [])] } }],
        action: forward,
        tags,
        count: countOf(made.when),
        provider,
      })
    : undefined;
  return {
    targetGroup,
    loadBalancer,
    listener,
    listenerRule,
    name: given?.name ?? poolName,
    arn,
    dnsName: given?.dnsName ?? attribute(loadBalancer!, "dns_name"),
    zoneId: given?.zoneId ?? attribute(loadBalancer!, "zone_id"),
  };
}

function makeLoadBalancer(
  scope: Construct,
  poolName: string,
  props: AwsCloudPoolProps,
  made: { readonly security: PoolSecurity },
  network: boolean,
  tags: Readonly<Record<string, string>>,
  count: number | undefined,
): Lb {
  return new Lb(scope, "load-balancer", {
    name: poolName,
    loadBalancerType: network ? "network" : "application",
    internal: props.internal ?? false,
    subnets: [...props.vpc.balancerSubnetIds],
    securityGroups: [made.security.balancerGroupId],
    enableDeletionProtection: props.deletionProtection ?? false,
    // An application load balancer has it always.
    enableCrossZoneLoadBalancing: network ? true : undefined,
    dropInvalidHeaderFields: network ? undefined : true,
    desyncMitigationMode: network ? undefined : "defensive",
    accessLogs: props.accessLogs && { ...props.accessLogs, enabled: true },
    tags,
    count,
    provider: props.provider,
  });
}

function makeTargetGroup(
  scope: Construct,
  poolName: string,
  props: AwsCloudPoolProps,
  network: boolean,
  tags: Readonly<Record<string, string>>,
): LbTargetGroup {
  const affinity = props.affinity ?? (network ? "none" : "cookie");
  const protocol = (props.memberProtocol ?? "http").toUpperCase();
  return new LbTargetGroup(scope, "target-group", {
    name: poolName,
    targetType: "instance",
    vpcId: props.vpc.vpcId,
    port: props.memberPort ?? props.port,
    protocol: network ? "TCP" : protocol,
    deregistrationDelay: String(Math.ceil((props.drainTimeoutMs ?? 300_000) / 1_000)),
    slowStart: network ? undefined : Math.ceil((props.slowStartMs ?? 30_000) / 1_000),
    stickiness: network
      ? undefined
      : { type: "lb_cookie", enabled: affinity === "cookie", cookieDuration: DAY_S },
    healthCheck: healthCheckOf(props.monitor, network ? "TCP" : protocol),
    tags,
    provider: props.provider,
  });
}

function listenerSecurity({ tls }: AwsCloudPoolProps, network: boolean) {
  if (tls === "none") return { protocol: network ? "TCP" : "HTTP" };
  return {
    protocol: network ? "TLS" : "HTTPS",
    certificateArn: tls.certificateArn,
    sslPolicy: tls.policy ?? TLS_1_2,
  };
}

/** A monitor as AWS can do it: what is finer than that is rounded up, what is coarser cut to its limit. */
export function healthCheckOf(monitor: HealthMonitor | undefined, memberProtocol: string) {
  const { type = "http", path, expectStatus, intervalMs, timeoutMs, rise, fall } = monitor?.props ?? {};
  const byConnection = type === "tcp" || (memberProtocol === "TCP" && path === undefined);
  const interval = within(seconds(intervalMs) ?? 5, 5, 300);
  return {
    enabled: true,
    // An application load balancer cannot judge by a connection alone.
    protocol: memberProtocol === "TCP" ? (byConnection ? "TCP" : "HTTP") : memberProtocol,
    path: memberProtocol === "TCP" && byConnection ? undefined : (path ?? "/"),
    matcher: memberProtocol === "TCP" && byConnection ? undefined : String(expectStatus ?? 200),
    port: "traffic-port",
    interval,
    timeout: within(seconds(timeoutMs) ?? 2, 2, Math.min(120, interval - 1)),
    healthyThreshold: within(rise ?? 2, 2, 10),
    unhealthyThreshold: within(fall ?? 3, 2, 10),
  };
}

function seconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.ceil(ms / 1_000);
}

function within(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}
