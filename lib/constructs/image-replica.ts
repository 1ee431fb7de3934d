import { Token } from "cdktf";
import { Construct } from "constructs";
import type { IConstruct } from "constructs";
import { ImageReplica as ReplicaBinding } from "./bindings/image-replica";
import type { Condition } from "./condition";
import { attributeOf, countOf } from "./condition";
import { hclDuration } from "./durations";
import { tryParseBandwidth } from "../image/bandwidth";
import type { Image } from "./image";
import { pathFromStack } from "./image";
import type { Site } from "./site";
import { SpillwayProvider } from "./spillway-provider";
import { digestRule, durationRule, refuse } from "./validate";
import type { Rule } from "./validate";

/** What a transfer may take of a link, and when. */
export interface TransferBandwidth {
  /**
   * `20Mbit`, `2MB/s`, `unlimited`, `off`.
   * @default - unlimited
   */
  readonly cap?: string;
  /**
   * Parts of the week with a cap of their own, such as `mon-fri 08:00-18:00 10Mbit`. The first that a moment lies in counts.
   * @default - none
   */
  readonly windows?: readonly string[];
  /**
   * Whose clocks the windows go by: an IANA name such as `Europe/Berlin`.
   * @default - those of the machine that sends
   */
  readonly timeZone?: string;
}

export interface ImageReplicaProps {
  /** What to hold there. Another file is another replica: the new one is complete before the old one goes. */
  readonly image: Image;
  /** Where. A change replaces the replica. */
  readonly site: Site;
  /**
   * Do the bytes stay at the site when the replica is destroyed? Then the next one moves only what has changed.
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
  /**
   * The replica is there only while this is true.
   * @default - always
   */
  readonly when?: Condition;
}

/** An image that a site holds, or will hold before anything that depends on it begins. */
export interface IImageReplica extends IConstruct {
  readonly site: Site;
  /** The image's digest. Depending on it is waiting for the replica. */
  readonly imageDigest: string;
  /** When it is there; undefined for always. */
  readonly condition?: Condition;
}

/**
 * An image at a site. Its plan shows what would move and how long that would take; its creation moves only what is missing there.
 *
 * @example
 * const replica = new ImageReplica(stack, "image", { image, site: cloud });
 */
export class ImageReplica extends Construct implements IImageReplica {
  /** The generated class, for what this one does not offer. */
  readonly resource: ReplicaBinding;
  readonly site: Site;
  readonly imageDigest: string;
  readonly condition?: Condition;

  /**
   * An image that the site holds already, moved there by another stack or by hand.
   * @param props.digest `sha256:` and 64 hex digits
   */
  static fromDigest(
    scope: Construct,
    id: string,
    props: { readonly site: Site; readonly digest: string },
  ): IImageReplica {
    class Imported extends Construct implements IImageReplica {
      readonly site = props.site;
      readonly imageDigest = props.digest;
    }
    const replica = new Imported(scope, id);
    refuse(replica.node.path, [digestRule("digest", props.digest)]);
    return replica;
  }

  /** @throws SpillwayError, SpillwayErrors on a bad prop */
  constructor(scope: Construct, id: string, props: ImageReplicaProps) {
    super(scope, id);
    refuse(this.node.path, [
      durationRule("transferTimeoutMs", props.transferTimeoutMs),
      ...bandwidthRules(props.bandwidth),
    ]);
    SpillwayProvider.of(this).use(props.site);
    this.site = props.site;
    this.condition = props.when;
    this.resource = new ReplicaBinding(this, "Resource", {
      site: props.site.name,
      source: pathFromStack(this, props.image.source),
      digest: props.image.digest,
      exact: props.image.exact,
      format: props.image.format,
      bandwidth: props.bandwidth && {
        cap: props.bandwidth.cap,
        windows: props.bandwidth.windows && [...props.bandwidth.windows],
        timeZone: props.bandwidth.timeZone,
      },
      retain: props.retain,
      timeouts:
        props.transferTimeoutMs === undefined ? undefined : { create: hclDuration(props.transferTimeoutMs) },
      count: countOf(props.when),
      lifecycle: { createBeforeDestroy: true },
    });
    this.imageDigest = attributeOf(this.resource, "digest");
  }
}

/** @internal */
export function bandwidthRules(bandwidth: TransferBandwidth | undefined): readonly Rule[] {
  if (bandwidth === undefined || isPartlyUnknown(bandwidth)) return [];
  const { cap, windows, timeZone } = bandwidth;
  return tryParseBandwidth({ cap, windows, timeZone }).problems.map(({ problem, mend, attribute = [] }) => ({
    problem: `\`bandwidth\`: ${problem}`,
    mend,
    attribute: ["bandwidth", ...attribute.map(String)],
  }));
}

function isPartlyUnknown({ cap, windows, timeZone }: TransferBandwidth): boolean {
  return [cap, windows, timeZone, ...(Token.isUnresolved(windows) ? [] : (windows ?? []))].some((value) =>
    Token.isUnresolved(value),
  );
}
