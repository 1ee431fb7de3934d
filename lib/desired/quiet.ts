import type { DesiredParameters } from "./parameters";

/** The state in which no cloud is in use: every user on premises. */
export function quietParameters(options: {
  /** The on-premises site's name. */
  readonly onPremSite: string;
  /** Members that the next burst starts with. @default 1 */
  readonly cloudMembers?: number;
  /** @default "quiet" */
  readonly reason?: string;
}): DesiredParameters {
  return {
    burst: false,
    cloud_members: options.cloudMembers ?? 1,
    weights: { [options.onPremSite]: 100 },
    image_digest: null,
    reason: options.reason ?? "quiet",
  };
}
