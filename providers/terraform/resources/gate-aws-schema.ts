import { parseProbedEndpoint } from "../../../lib/steps";
import { a, type CheckResult } from "../plugin";
import { isNotEmpty } from "./checks";

const TARGET_GROUP = /^arn:[a-z0-9-]+:elasticloadbalancing:[a-z0-9-]+:\d*:targetgroup\/[^/]+\/[^/]+$/;
const LOAD_BALANCER =
  /^arn:[a-z0-9-]+:elasticloadbalancing:[a-z0-9-]+:\d*:loadbalancer\/(app|net)\/[^/]+\/[^/]+$/;

const isTargetGroupArn = (text: string): CheckResult =>
  TARGET_GROUP.test(text)
    ? undefined
    : { problem: "must be a target group's ARN", mend: "Refer to the `arn` of an aws_lb_target_group." };

const isLoadBalancerArn = (text: string): CheckResult =>
  LOAD_BALANCER.test(text)
    ? undefined
    : {
        problem: "must be the ARN of an Application or Network Load Balancer",
        mend: "Refer to the `arn` of an aws_lb of type application or network.",
      };

const isEndpoint = (text: string): CheckResult =>
  parseProbedEndpoint(text)
    ? undefined
    : {
        problem: "must be HOST:PORT or a URL",
        mend: "Write it as lb.example.com:80 or https://lb.example.com.",
      };

/** A gate's `aws`. */
export const awsAttributes = {
  region: a
    .string()
    .optional()
    .check(isNotEmpty)
    .describe("Where it is; another one makes it another gate. Default: the region in `target_group_arn`."),
  target_group_arn: a
    .string()
    .forceNew()
    .check(isTargetGroupArn)
    .describe(
      "The target group whose targets are the pool's members. The gate opens when enough are healthy.",
    ),
  load_balancer_arn: a
    .string()
    .optional()
    .check(isLoadBalancerArn)
    .describe(
      "Through which users come: its requests and connections hold the gate. Default: the balancer that the target group is attached to.",
    ),
  auto_scaling_group: a
    .string()
    .optional()
    .check(isNotEmpty)
    .describe(
      "Its name. As many members as its desired capacity are waited for, and why they do not come is told.",
    ),
  endpoint: a
    .string()
    .optional()
    .check(isEndpoint)
    .describe(
      "`HOST:PORT`, or a URL: also probed with `monitor` from the machine that runs Terraform. The certificate of an https one is not looked at.",
    ),
};
