import { charge, chargeEverywhere, unknown, type Biller, type Finding, type Question } from "./charge";
import { publicAddresses } from "./launch";
import { valueOf } from "./values";

const BALANCERS = ["application", "network", "gateway"];

/** `aws_lb`: its hours, its capacity units as assumed, the public addresses that it takes in each zone. */
export const loadBalancer: Biller = (question) => {
  const { values, prices, region } = question;
  const type = valueOf(values.text("load_balancer_type")) ?? "application";
  const item = `${type} load balancer`;
  if (!BALANCERS.includes(type)) {
    return [unknown(item, "no such load balancer is known", "Write `load_balancer_type` as AWS has it.")];
  }
  const units = prices.assumed("capacityUnits") ?? 1;
  const findings: Finding[] = [
    charge(
      question,
      { item, quantity: 1, unit: "load balancers", per: "hour" },
      "loadBalancers",
      type,
      "hour",
    ),
  ];
  if (units > 0) {
    const measure = { item: `${item}, capacity units`, quantity: units, unit: "capacity units" } as const;
    const note = `${units} capacity unit${units === 1 ? "" : "s"} assumed`;
    findings.push(
      charge(question, { ...measure, per: "hour", note }, "loadBalancers", type, "capacityUnitHour"),
    );
  }
  if (type === "gateway" || valueOf(values.flag("internal")) === true) return findings;
  return [...findings, ...balancerAddresses(question), ...dataOut(question, region)];
};

function balancerAddresses(question: Question): Finding[] {
  const { values } = question;
  if (valueOf(values.text("ip_address_type")) === "dualstack-without-public-ipv4") return [];
  const mapped = valueOf(values.length("subnet_mapping")) ?? 0;
  const subnets = mapped > 0 ? mapped : (valueOf(values.length("subnets")) ?? subnetsReferredTo(question));
  if (subnets === undefined || subnets === 0) {
    const mend = "Name the subnets in the program; each takes an address.";
    return [unknown("public IPv4 address", "the plan does not tell in how many subnets it is", mend)];
  }
  return [publicAddresses(question, subnets)];
}

/** Subnets that are made by the same plan. */
function subnetsReferredTo({ stack, resource }: Question): number {
  return stack.allReferredTo(resource, "subnets", ["aws_subnet"]).length;
}

function dataOut({ prices }: Question, region: string | undefined): Finding[] {
  const price = region === undefined ? undefined : prices.find("regions", region, "dataOutGb");
  if (!price) return [];
  const gb = prices.assumed("dataOutGbPerHour");
  const item = "data to the internet";
  if (gb === undefined) return [{ kind: "usage", item, price, unit: "GB" }];
  if (gb === 0) return [];
  const note = `${gb} GB an hour assumed`;
  return [{ kind: "charge", item, quantity: gb, unit: "GB an hour", per: "hour", price, note }];
}

const AT_AWS = ["aws_lb", "aws_alb", "aws_eip", "aws_instance"];

/** `aws_route53_health_check`. */
export const healthCheck: Biller = (question) => {
  const { values, stack, resource } = question;
  const type = valueOf(values.text("type")) ?? "";
  if (!/^(HTTPS?(_STR_MATCH)?|TCP)$/.test(type)) {
    const mend = "It is not counted; see the price list.";
    return [unknown("health check", `the price of one of type ${type || "not known"} is not known`, mend)];
  }
  const named = valueOf(values.text("fqdn")) ?? "";
  const atAws =
    named.endsWith(".amazonaws.com") ||
    ["fqdn", "ip_address"].some((path) => stack.referredTo(resource, path, AT_AWS) !== undefined);
  const options = [
    type.startsWith("HTTPS"),
    type.endsWith("_STR_MATCH"),
    valueOf(values.number("request_interval")) === 10,
    valueOf(values.flag("measure_latency")) === true,
  ].filter(Boolean).length;
  const where = atAws ? "of an endpoint at AWS" : "of an endpoint elsewhere";
  const base = { item: `health check ${where}`, quantity: 1, unit: "health checks", per: "month" } as const;
  const findings = [chargeEverywhere(question, base, "healthCheckMonth", atAws ? "aws" : "other")];
  if (options > 0) {
    const extra = {
      item: `${base.item}, options`,
      quantity: options,
      unit: "options",
      per: "month",
    } as const;
    findings.push(chargeEverywhere(question, extra, "healthCheckMonth", atAws ? "awsOption" : "otherOption"));
  }
  return findings;
};

/** `aws_route53_zone`. */
export const hostedZone: Biller = (question) => {
  const measure = { item: "hosted zone", quantity: 1, unit: "zones", per: "month" } as const;
  const findings = [chargeEverywhere(question, measure, "hostedZoneMonth")];
  const millions = question.prices.assumed("millionQueriesPerMonth");
  const price = question.prices.find("everywhere", "queriesPerMillion");
  const item = "DNS queries";
  if (millions === undefined && price) findings.push({ kind: "usage", item, price, unit: "million" });
  if (millions !== undefined && millions > 0) {
    const note = `${millions} million queries a month assumed`;
    const queries = { item, quantity: millions, unit: "million", per: "month", note } as const;
    findings.push(chargeEverywhere(question, queries, "queriesPerMillion"));
  }
  return findings;
};

/** `aws_cloudwatch_metric_alarm`, of standard resolution. */
export const alarm: Biller = (question) => {
  const period = valueOf(question.values.number("period"));
  if (period !== undefined && period < 60) {
    return [unknown("alarm", "it is of high resolution", "It is not counted; see the price list.")];
  }
  const metrics = question.values
    .list("metric_query")
    .filter((each) => each.list("metric").length > 0).length;
  const quantity = Math.max(1, metrics);
  return [
    chargeEverywhere(question, { item: "alarm", quantity, unit: "metrics", per: "month" }, "alarmMonth"),
  ];
};

/** `aws_eip`. */
export const elasticAddress: Biller = (question) => [publicAddresses(question, 1)];

/**
 * Resources that AWS charges for, and whose price is not worked out here: better said than left out.
 */
export const NOT_PRICED: ReadonlySet<string> = new Set([
  "aws_ami_copy",
  "aws_ami_from_instance",
  "aws_cloudfront_distribution",
  "aws_db_instance",
  "aws_dx_connection",
  "aws_dynamodb_table",
  "aws_ebs_snapshot_copy",
  "aws_ec2_capacity_reservation",
  "aws_ec2_client_vpn_endpoint",
  "aws_ec2_fleet",
  "aws_ec2_host",
  "aws_ec2_transit_gateway",
  "aws_ec2_transit_gateway_vpc_attachment",
  "aws_ecs_service",
  "aws_efs_file_system",
  "aws_eks_cluster",
  "aws_eks_node_group",
  "aws_elasticache_cluster",
  "aws_elasticache_replication_group",
  "aws_elb",
  "aws_fsx_lustre_file_system",
  "aws_globalaccelerator_accelerator",
  "aws_kms_key",
  "aws_lambda_function",
  "aws_msk_cluster",
  "aws_nat_gateway",
  "aws_networkfirewall_firewall",
  "aws_opensearch_domain",
  "aws_rds_cluster",
  "aws_rds_cluster_instance",
  "aws_redshift_cluster",
  "aws_secretsmanager_secret",
  "aws_spot_fleet_request",
  "aws_spot_instance_request",
  "aws_vpc_endpoint",
  "aws_vpn_connection",
  "aws_wafv2_web_acl",
]);
