export {
  parseLoadBalancerArn,
  parseTargetGroupArn,
  tryParseLoadBalancerArn,
  tryParseTargetGroupArn,
  type LoadBalancerKind,
  type LoadBalancerName,
  type TargetGroupName,
} from "./arn";
export { AwsCloud } from "./cloud";
export { findTargetGroupByName } from "./find";
export { TargetGroupObserver, type TargetGroupOptions } from "./target-group-observer";
