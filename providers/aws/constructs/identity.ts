import { IamInstanceProfile } from "@cdktf/provider-aws/lib/iam-instance-profile";
import { IamRole } from "@cdktf/provider-aws/lib/iam-role";
import { IamRolePolicyAttachment } from "@cdktf/provider-aws/lib/iam-role-policy-attachment";
import { Token } from "cdktf";
import type { Construct } from "constructs";
import type { AwsCloudPoolProps } from "./aws-cloud-pool-props";
import { attribute } from "./reference";

const SSM = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore";

const INSTANCES_MAY_TAKE_IT = JSON.stringify({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Principal: { Service: "ec2.amazonaws.com" }, Action: "sts:AssumeRole" }],
});

export interface PoolIdentity {
  readonly role: IamRole;
  readonly attachments: readonly IamRolePolicyAttachment[];
  readonly profile: IamInstanceProfile;
}

/**
 * Who members are to AWS. It is there between bursts, because a profile that was made a moment ago is not known everywhere yet.
 * @returns undefined if members ask nothing of AWS: then they are nobody
 */
export function makeIdentity(
  scope: Construct,
  poolName: string,
  { ssm, policyArns = [], provider }: AwsCloudPoolProps,
  tags: Readonly<Record<string, string>>,
): PoolIdentity | undefined {
  const arns = [...(ssm ? [SSM] : []), ...policyArns];
  if (arns.length === 0) return undefined;
  const role = new IamRole(scope, "role", {
    namePrefix: `${poolName}-`,
    description: `Members of ${poolName}`,
    assumeRolePolicy: INSTANCES_MAY_TAKE_IT,
    tags,
    provider,
  });
  const roleName = attribute(role, "name");
  return {
    role,
    attachments: arns.map(
      (policyArn, i) =>
        new IamRolePolicyAttachment(
          scope,
          `policy-${Token.isUnresolved(policyArn) ? i : policyArn.split("/").at(-1)}`,
          {
            role: roleName,
            policyArn,
            provider,
          },
        ),
    ),
    profile: new IamInstanceProfile(scope, "profile", {
      namePrefix: `${poolName}-`,
      role: roleName,
      tags,
      provider,
    }),
  };
}
