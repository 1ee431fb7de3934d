/**
 * The desired-state parameters of one burst: all that the hook may ever change. They are the value of one Terraform variable, kept
 * in a variable file of the user's repository (`desired/shop.tfvars.json`).
 */
export interface DesiredParameters {
  /** Is the cloud in use? */
  readonly burst: boolean;
  /** Members in the cloud while `burst`. At least 1. */
  readonly cloud_members: number;
  /** Share of users by site, adding up to 100. A site out of service is not listed. */
  readonly weights: Readonly<Record<string, number>>;
  /** The image the cloud runs: `sha256:…`; null for the one the stack declares. */
  readonly image_digest: string | null;
  /** Why it is so: shown in every plan. */
  readonly reason: string;
}
