import type { ApiCall } from "./api-call";

/**
 * What AWS keeps and the emulator forgets, said to it again: a group that is updated without its mixed instances policy loses it there.
 */
export class EmulatorGaps {
  private readonly policies = new Map<string, ReadonlyMap<string, string>>();

  /** The request's body as the emulator should have it. */
  mended({ service, action, parameters }: ApiCall, body: Buffer): Buffer {
    if (service !== "autoscaling" || !/^(Create|Update)AutoScalingGroup$/.test(action)) return body;
    const name = parameters.AutoScalingGroupName ?? "";
    const policy = Object.entries(parameters).filter(([key]) => key.startsWith("MixedInstancesPolicy."));
    if (policy.length > 0) {
      this.policies.set(name, new Map(policy));
      return body;
    }
    const form = new URLSearchParams(body.toString("utf8"));
    for (const [key, value] of this.policies.get(name) ?? []) form.set(key, value);
    return Buffer.from(form.toString());
  }
}
