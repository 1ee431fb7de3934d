import {
  AutoScalingClient,
  CreateAutoScalingGroupCommand,
  CreateLaunchConfigurationCommand,
} from "@aws-sdk/client-auto-scaling";
import { CloudWatchClient, PutMetricDataCommand } from "@aws-sdk/client-cloudwatch";
import {
  CreateSubnetCommand,
  CreateVpcCommand,
  DescribeImagesCommand,
  EC2Client,
  RunInstancesCommand,
} from "@aws-sdk/client-ec2";
import {
  CreateListenerCommand,
  CreateLoadBalancerCommand,
  CreateTargetGroupCommand,
  ElasticLoadBalancingV2Client,
  RegisterTargetsCommand,
} from "@aws-sdk/client-elastic-load-balancing-v2";

const PERIOD_MS = 60_000;

/** A load balancer with a target group in the emulator, and metrics as a test puts them. */
export class Region {
  readonly ec2 = new EC2Client({ maxAttempts: 1 });
  readonly balancing = new ElasticLoadBalancingV2Client({ maxAttempts: 1 });
  readonly scaling = new AutoScalingClient({ maxAttempts: 1 });
  private readonly cloudWatch = new CloudWatchClient({ maxAttempts: 1 });
  groupArn = "";
  balancerArn = "";
  subnets: string[] = [];
  private type: "application" | "network" = "application";

  close(): void {
    for (const client of [this.ec2, this.balancing, this.scaling, this.cloudWatch]) client.destroy();
  }

  async make(type: "application" | "network" = "application"): Promise<void> {
    const { Vpc } = await this.ec2.send(new CreateVpcCommand({ CidrBlock: "10.0.0.0/16" }));
    const VpcId = Vpc?.VpcId ?? "";
    for (const zone of ["a", "b"]) {
      const CidrBlock = `10.0.${this.subnets.length}.0/24`;
      const AvailabilityZone = `us-east-1${zone}`;
      const { Subnet } = await this.ec2.send(new CreateSubnetCommand({ VpcId, CidrBlock, AvailabilityZone }));
      this.subnets.push(Subnet?.SubnetId ?? "");
    }
    const Protocol = type === "network" ? "TCP" : "HTTP";
    const group = await this.balancing.send(
      new CreateTargetGroupCommand({ Name: "shop", Protocol, Port: 80, VpcId, TargetType: "instance" }),
    );
    this.groupArn = group.TargetGroups?.[0]?.TargetGroupArn ?? "";
    const balancer = await this.balancing.send(
      new CreateLoadBalancerCommand({ Name: "shop", Subnets: this.subnets, Type: type }),
    );
    this.balancerArn = balancer.LoadBalancers?.[0]?.LoadBalancerArn ?? "";
    this.type = type;
    await this.listen(80, this.groupArn);
  }

  async listen(Port: number, TargetGroupArn: string): Promise<void> {
    const Protocol = this.type === "network" ? "TCP" : "HTTP";
    const DefaultActions = [{ Type: "forward" as const, TargetGroupArn }];
    await this.balancing.send(
      new CreateListenerCommand({ LoadBalancerArn: this.balancerArn, Protocol, Port, DefaultActions }),
    );
  }

  private async image(): Promise<string> {
    const { Images } = await this.ec2.send(new DescribeImagesCommand({ Owners: ["amazon"] }));
    return Images?.[0]?.ImageId ?? "";
  }

  /** Running instances, which the emulator calls healthy as targets. @returns their ids */
  async launch(count: number): Promise<readonly string[]> {
    const ImageId = await this.image();
    const { Instances = [] } = await this.ec2.send(
      new RunInstancesCommand({ ImageId, MinCount: count, MaxCount: count, SubnetId: this.subnets[0] }),
    );
    const ids = Instances.map(({ InstanceId = "" }) => InstanceId);
    const Targets = ids.map((Id) => ({ Id }));
    await this.balancing.send(new RegisterTargetsCommand({ TargetGroupArn: this.groupArn, Targets }));
    return ids;
  }

  async scale(desired: number, AutoScalingGroupName = "shop"): Promise<void> {
    const LaunchConfigurationName = `${AutoScalingGroupName}-launch`;
    const ImageId = await this.image();
    await this.scaling.send(
      new CreateLaunchConfigurationCommand({ LaunchConfigurationName, ImageId, InstanceType: "t3.micro" }),
    );
    await this.scaling.send(
      new CreateAutoScalingGroupCommand({
        ...{
          AutoScalingGroupName,
          LaunchConfigurationName,
          MinSize: 0,
          MaxSize: 9,
          DesiredCapacity: desired,
        },
        ...{ VPCZoneIdentifier: this.subnets.join(","), TargetGroupARNs: [this.groupArn] },
      }),
    );
  }

  /** Values of metrics in the minute that began so many minutes before this one. */
  async put(minutesAgo: number, values: Readonly<Record<string, number>>): Promise<void> {
    const isNetwork = this.type === "network";
    const dimension = (arn: string) => arn.split(":").pop() ?? "";
    const balancer = {
      Name: "LoadBalancer",
      Value: dimension(this.balancerArn).replace("loadbalancer/", ""),
    };
    const group = { Name: "TargetGroup", Value: dimension(this.groupArn) };
    const Timestamp = new Date(Math.floor(Date.now() / PERIOD_MS) * PERIOD_MS - minutesAgo * PERIOD_MS);
    const MetricData = Object.entries(values).map(([MetricName, Value]) => ({
      ...{ MetricName, Value, Timestamp },
      Dimensions: /HostCount$/.test(MetricName) ? [balancer, group] : [balancer],
    }));
    const Namespace = isNetwork ? "AWS/NetworkELB" : "AWS/ApplicationELB";
    await this.cloudWatch.send(new PutMetricDataCommand({ Namespace, MetricData }));
  }
}
