import { CloudWatchClient, PutMetricDataCommand } from "@aws-sdk/client-cloudwatch";
import {
  DescribeLoadBalancersCommand,
  DescribeTargetGroupsCommand,
  ElasticLoadBalancingV2Client,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { environmentOf, REGION } from "../../support/aws/moto";

const MINUTE_MS = 60_000;
const EVERY_MS = 2_000;

/**
 * Does what AWS's balancers do and the emulator's do not: reports, for every minute, how many hosts are healthy, and how many requests came.
 */
export class LoadMetrics {
  /** In each minute from now on. Absent where it is 0, as at AWS. */
  requests = 0;
  private readonly balancing: ElasticLoadBalancingV2Client;
  private readonly cloudWatch: CloudWatchClient;
  private readonly timer: NodeJS.Timeout;

  constructor(
    endpoint: string,
    private readonly name: string,
  ) {
    const { AWS_ACCESS_KEY_ID: accessKeyId = "", AWS_SECRET_ACCESS_KEY: secretAccessKey = "" } =
      environmentOf(endpoint);
    const client = { endpoint, region: REGION, credentials: { accessKeyId, secretAccessKey } };
    this.balancing = new ElasticLoadBalancingV2Client(client);
    this.cloudWatch = new CloudWatchClient(client);
    this.timer = setInterval(() => void this.report().catch(() => undefined), EVERY_MS);
  }

  stop(): void {
    clearInterval(this.timer);
    this.balancing.destroy();
    this.cloudWatch.destroy();
  }

  /** There is nothing to report while there is no balancer. */
  private async report(): Promise<void> {
    const Names = [this.name];
    const { LoadBalancers = [] } = await this.balancing.send(new DescribeLoadBalancersCommand({ Names }));
    const { TargetGroups = [] } = await this.balancing.send(new DescribeTargetGroupsCommand({ Names }));
    const last = (arn = "") => arn.split(":").pop() ?? "";
    const balancer = {
      Name: "LoadBalancer",
      Value: last(LoadBalancers[0]?.LoadBalancerArn).replace("loadbalancer/", ""),
    };
    const group = { Name: "TargetGroup", Value: last(TargetGroups[0]?.TargetGroupArn) };
    const Timestamp = new Date(Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS);
    const MetricData = [
      { MetricName: "HealthyHostCount", Value: 1, Timestamp, Dimensions: [balancer, group] },
      ...(this.requests === 0
        ? []
        : [{ MetricName: "RequestCount", Value: this.requests, Timestamp, Dimensions: [balancer] }]),
    ];
    await this.cloudWatch.send(new PutMetricDataCommand({ Namespace: "AWS/ApplicationELB", MetricData }));
  }
}
