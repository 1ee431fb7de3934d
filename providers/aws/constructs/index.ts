export { AwsVpc } from "./vpc";
export type { AwsVpcAttributes } from "./vpc";
export { HostedZone } from "./hosted-zone";
export type { HostedZoneAttributes } from "./hosted-zone";
export { AwsLoadBalancer } from "./load-balancer";
export type { AwsLoadBalancerAttributes } from "./load-balancer";
export { EbsImageReplica } from "./ebs-image-replica";
export type { EbsImageReplicaProps, IEbsImageReplica } from "./ebs-image-replica";
export { AwsImage } from "./aws-image";
export type { AwsImageProps, AwsImageSettings, IAwsImage } from "./aws-image";
export { AwsCloudPool } from "./aws-cloud-pool";
export type { IAwsCloudPool } from "./aws-cloud-pool";
export type {
  AwsCloudPoolProps,
  AwsEgress,
  AwsPoolSettings,
  AwsSpot,
  AwsVolume,
  AwsWarmPool,
} from "./aws-cloud-pool-props";
export { AwsGate } from "./aws-gate";
export type { AwsGateProps, AwsGateTarget, IAwsGate } from "./aws-gate";
export { AwsGlobalRecord } from "./aws-global-record";
export type {
  AwsGlobalRecordProps,
  AwsRecordAnswer,
  AwsRecordTuning,
  IAwsGlobalRecord,
} from "./aws-global-record";
export type { Route53Health } from "./route53-health";
export { AwsCloud } from "./aws-cloud";
export type { AwsCloudProps, AwsParts } from "./aws-cloud";
export { Route53Record } from "./route53-record";
export type { Route53RecordProps } from "./route53-record";
export type { AwsTags } from "./tags";
