import { Token, ref } from "cdktf";
import type { IConstruct } from "constructs";
import { Construct } from "constructs";
import { ImageReplica as ReplicaBinding } from "../../../lib/constructs/bindings/image-replica";
import type { Condition } from "../../../lib/constructs/condition";
import { hclDuration } from "../../../lib/constructs/durations";
import type { Image } from "../../../lib/constructs/image";
import { pathFromStack } from "../../../lib/constructs/image";
import type { TransferBandwidth } from "../../../lib/constructs/image-replica";
import { bandwidthRules } from "../../../lib/constructs/image-replica";
import { SpillwayProvider } from "../../../lib/constructs/spillway-provider";
import type { Site } from "../../../lib/constructs/site";
import { durationRule, refuse, rule } from "../../../lib/constructs/validate";
import { attribute, countOf } from "./reference";
import { isRegion } from "./region";
import type { AwsTags } from "./tags";
import { tagRules } from "./tags";

export interface EbsImageReplicaProps {
  /** What to hold there. Another file is another snapshot: the new one is complete before the old one goes. */
  readonly image: Image;
  /**
   * `eu-central-1`. A change replaces the snapshot.
   * @default - as the AWS SDK finds it: AWS_REGION, the profile
   */
  readonly region?: string;
  /**
   * An agent in the region that is sent the differences, and writes the snapshot from there: fewer bytes cross the link.
   * @default - written from here
   */
  readonly site?: Site;
  /**
   * Only blocks that differ from this snapshot are written.
   * @default - the one of Spillway's own that leaves the least to send
   */
  readonly parentSnapshotId?: string;
  /** @default - as the account has it */
  readonly encrypted?: boolean;
  /**
   * ARN of the KMS key that encrypts the snapshot.
   * @default - the account's key for EBS
   */
  readonly kmsKeyId?: string;
  /**
   * Does the snapshot stay in the account when this is destroyed? Then the next one writes only what has changed, and it is paid for
   * meanwhile.
   * @default true
   */
  readonly retain?: boolean;
  /**
   * Milliseconds that the transfer may take.
   * @default - 24 hours
   */
  readonly transferTimeoutMs?: number;
  /**
   * What the transfer may take of the link, and when.
   * @default - no limit but the one that `spillway image cap` sets for the machine
   */
  readonly bandwidth?: TransferBandwidth;
  /** @default - none but Spillway's own, by which it finds the snapshot again */
  readonly tags?: AwsTags;
  /**
   * The snapshot is there only while this is true.
   * @default - always
   */
  readonly when?: Condition;
}

/** A snapshot that is there, or will be before anything that depends on it begins. */
export interface IEbsImageReplica extends IConstruct {
  readonly snapshotId: string;
  /**
   * The disk's size in GiB, rounded up.
   * @default - not known
   */
  readonly sizeGib?: number;
  readonly condition?: Condition;
}

/**
 * An image as an EBS snapshot, written over the EBS direct APIs: no bucket, no import task, and only what differs from a snapshot
 * before it.
 *
 * @example
 * const replica = new EbsImageReplica(stack, "replica", { image, region: "eu-central-1" });
 */
export class EbsImageReplica extends Construct implements IEbsImageReplica {
  /** The generated class, for what this one does not offer. */
  readonly resource: ReplicaBinding;
  readonly snapshotId: string;
  readonly sizeGib: number;
  readonly condition?: Condition;

  /** @throws SpillwayError, SpillwayErrors on bad props */
  constructor(scope: Construct, id: string, props: EbsImageReplicaProps) {
    super(scope, id);
    refuse(this.node.path, [
      rule(
        props.region === undefined || isRegion(props.region),
        "region",
        `must be an AWS region, got ${JSON.stringify(props.region)}`,
        "Write it as eu-central-1.",
      ),
      rule(
        props.parentSnapshotId === undefined ||
          (props.encrypted === undefined && props.kmsKeyId === undefined),
        "parentSnapshotId",
        "is given beside `encrypted` or `kmsKeyId`, but a snapshot is encrypted as its parent is",
        "Keep one of the two.",
      ),
      durationRule("transferTimeoutMs", props.transferTimeoutMs),
      ...bandwidthRules(props.bandwidth),
      ...tagRules(props.tags),
    ]);
    const provider = SpillwayProvider.of(this);
    if (props.site) provider.use(props.site);
    this.condition = props.when;
    const { region, parentSnapshotId, encrypted, kmsKeyId, tags } = props;
    this.resource = new ReplicaBinding(this, "Resource", {
      target: "ebs",
      site: props.site?.name,
      ebs: { region, parentSnapshotId, encrypted, kmsKeyId, tags: tags && { ...tags } },
      source: pathFromStack(this, props.image.source),
      digest: props.image.digest,
      exact: props.image.exact,
      format: props.image.format,
      bandwidth: props.bandwidth && { ...props.bandwidth, windows: props.bandwidth.windows?.slice() },
      retain: props.retain,
      timeouts:
        props.transferTimeoutMs === undefined ? undefined : { create: hclDuration(props.transferTimeoutMs) },
      count: countOf(props.when),
      lifecycle: { createBeforeDestroy: true },
    });
    this.snapshotId = attribute(this.resource, "snapshot_id");
    const bytes = attribute(this.resource, "size_bytes").slice(2, -1);
    this.sizeGib = Token.asNumber(ref(`ceil(${bytes} / 1073741824)`));
  }
}
