import { Construct } from "constructs";
import type { IConstruct } from "constructs";
import { ImageReplica as ReplicaBinding } from "./bindings/image-replica";
import type { Condition } from "./condition";
import { attributeOf, countOf } from "./condition";
import { hclDuration } from "./durations";
import type { Image } from "./image";
import { pathFromStack } from "./image";
import type { Site } from "./site";
import { SpillwayProvider } from "./spillway-provider";
import { digestRule, durationRule, refuse } from "./validate";

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
    refuse(this.node.path, [durationRule("transferTimeoutMs", props.transferTimeoutMs)]);
    SpillwayProvider.of(this).use(props.site);
    this.site = props.site;
    this.condition = props.when;
    this.resource = new ReplicaBinding(this, "Resource", {
      site: props.site.name,
      source: pathFromStack(this, props.image.source),
      digest: props.image.digest,
      retain: props.retain,
      timeouts:
        props.transferTimeoutMs === undefined ? undefined : { create: hclDuration(props.transferTimeoutMs) },
      count: countOf(props.when),
      lifecycle: { createBeforeDestroy: true },
    });
    this.imageDigest = attributeOf(this.resource, "digest");
  }
}
