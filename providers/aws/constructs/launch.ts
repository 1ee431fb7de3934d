import { LaunchTemplate } from "@cdktf/provider-aws/lib/launch-template";
import { Fn, Token } from "cdktf";
import type { Construct } from "constructs";
import type { Condition } from "../../../lib/constructs/condition";
import type { AwsCloudPoolProps } from "./aws-cloud-pool-props";
import type { PoolIdentity } from "./identity";
import { attribute, countOf } from "./reference";
import type { PoolSecurity } from "./security";

/** How one member is launched. It is there while the image is: without one there would be nothing to launch. */
export function makeLaunchTemplate(
  scope: Construct,
  poolName: string,
  props: AwsCloudPoolProps,
  made: {
    readonly security: PoolSecurity;
    readonly identity: PoolIdentity | undefined;
    readonly when?: Condition;
  },
  tags: Readonly<Record<string, string>>,
): LaunchTemplate {
  const { image, volume, userData } = props;
  return new LaunchTemplate(scope, "launch-template", {
    namePrefix: `${poolName}-`,
    description: `Members of ${poolName}`,
    updateDefaultVersion: true,
    imageId: image.imageId,
    instanceType: props.instanceTypes[0],
    ebsOptimized: "true",
    vpcSecurityGroupIds: [attribute(made.security.memberGroup, "id"), ...(props.securityGroupIds ?? [])],
    iamInstanceProfile: made.identity && { arn: attribute(made.identity.profile, "arn") },
    userData: userData && (Token.isUnresolved(userData) ? Fn.base64encode(userData) : base64(userData)),
    metadataOptions: {
      httpEndpoint: "enabled",
      httpTokens: "required",
      // One hop: a container or a proxy on the member does not reach the member's identity.
      httpPutResponseHopLimit: 1,
      instanceMetadataTags: "disabled",
    },
    blockDeviceMappings: [
      {
        deviceName: image.rootDeviceName,
        ebs: {
          encrypted: "true",
          kmsKeyId: volume?.kmsKeyId,
          volumeType: "gp3",
          volumeSize: volume?.sizeGib ?? image.volumeSizeGib,
          iops: volume?.iops,
          throughput: volume?.throughputMibps,
          deleteOnTermination: "true",
        },
      },
    ],
    monitoring: { enabled: props.detailedMonitoring ?? false },
    tagSpecifications: ["instance", "volume"].map((resourceType) => ({ resourceType, tags })),
    tags,
    count: countOf(made.when),
    lifecycle: { createBeforeDestroy: true },
    provider: props.provider,
  });
}

function base64(text: string): string {
  return Buffer.from(text, "utf8").toString("base64");
}
