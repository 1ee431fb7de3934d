import { createHash } from "node:crypto";
import { Ami } from "@cdktf/provider-aws/lib/ami";
import { Token } from "cdktf";
import type { TerraformProvider } from "cdktf";
import { Construct } from "constructs";
import type { IConstruct } from "constructs";
import type { Condition } from "../../../lib/constructs/condition";
import { nameRule, refuse, rule, textRule, wholeRule } from "../../../lib/constructs/validate";
import type { Rule } from "../../../lib/constructs/validate";
import type { IEbsImageReplica } from "./ebs-image-replica";
import { attribute, countOf } from "./reference";
import type { AwsTags } from "./tags";
import { tagRules } from "./tags";

/**
 * What an image is made of never changes at AWS, and some of it is told back in other words than it was given. It is in the name, so
 * that a change in the program makes another image.
 */
const NEVER_CHANGES = [
  "architecture",
  "boot_mode",
  "description",
  "ebs_block_device",
  "ena_support",
  "imds_support",
  "root_device_name",
  "sriov_net_support",
  "virtualization_type",
];

/** What a machine that starts from the disk must be like. */
export interface AwsImageSettings {
  /**
   * The processor that the image's programs are for.
   * @default "x86_64"
   */
  readonly architecture?: "x86_64" | "arm64";
  /**
   * How the image starts. `uefi-preferred`: by UEFI where the instance type can, otherwise as a BIOS would.
   * @default - "uefi" for arm64, otherwise "legacy-bios", as a disk without an EFI partition needs it
   */
  readonly bootMode?: "legacy-bios" | "uefi" | "uefi-preferred";
  /**
   * The device that the disk is attached as.
   * @default "/dev/sda1"
   */
  readonly rootDeviceName?: string;
  /**
   * Has it the driver of the Elastic Network Adapter (`ena`)? Instance types since 2017 start only with it, and Linux has it since 4.9.
   * @default true
   */
  readonly enaSupport?: boolean;
}

export interface AwsImageProps extends AwsImageSettings {
  /**
   * The snapshot of the disk: a replica, whose condition the image takes over, or an id.
   */
  readonly snapshot: IEbsImageReplica | string;
  /**
   * What the image's name begins with; the snapshot's id and a sum of the settings follow, so that a new one stands beside an old one.
   * @default - the construct's id
   */
  readonly imageName?: string;
  /**
   * The disk's size in GiB.
   * @default - the snapshot's
   */
  readonly volumeSizeGib?: number;
  /** @default - none */
  readonly tags?: AwsTags;
  /**
   * The image is there only while this is true.
   * @default - while its snapshot is
   */
  readonly when?: Condition;
  /** @default - the stack's AWS provider */
  readonly provider?: TerraformProvider;
}

/** An image that instances can be launched from. */
export interface IAwsImage extends IConstruct {
  readonly imageId: string;
  readonly rootDeviceName: string;
  /**
   * The disk's size in GiB.
   * @default - not known: AWS takes the snapshot's
   */
  readonly volumeSizeGib?: number;
  /** When it is there; undefined for always. */
  readonly condition?: Condition;
}

/**
 * A snapshot as an image that instances are launched from. Registering one takes seconds; it asks for IMDSv2, whoever launches it.
 *
 * @example
 * const image = new AwsImage(stack, "image", { snapshot: replica, bootMode: "uefi" });
 */
export class AwsImage extends Construct implements IAwsImage {
  /** The generated class, for what this one does not offer. */
  readonly resource: Ami;
  readonly imageId: string;
  readonly rootDeviceName: string;
  readonly volumeSizeGib?: number;
  readonly condition?: Condition;

  /** An image that is there already. */
  static fromAttributes(
    scope: Construct,
    id: string,
    attributes: {
      readonly imageId: string;
      readonly rootDeviceName?: string;
      readonly volumeSizeGib?: number;
    },
  ): IAwsImage {
    class Imported extends Construct implements IAwsImage {
      readonly imageId = attributes.imageId;
      readonly rootDeviceName = attributes.rootDeviceName ?? "/dev/sda1";
      readonly volumeSizeGib = attributes.volumeSizeGib;
    }
    const image = new Imported(scope, id);
    refuse(image.node.path, [textRule("imageId", attributes.imageId, "Write it as ami-0123456789abcdef0.")]);
    return image;
  }

  /** @throws SpillwayError, SpillwayErrors on bad props */
  constructor(scope: Construct, id: string, props: AwsImageProps) {
    super(scope, id);
    const name = props.imageName ?? id;
    refuse(this.node.path, [
      nameRule("imageName", name),
      ...imageRules(props),
      rule(
        !Token.isUnresolved(props.volumeSizeGib),
        "volumeSizeGib",
        "is not known before apply",
        "Give a plain number, or leave it out for the snapshot's size.",
      ),
      wholeRule("volumeSizeGib", props.volumeSizeGib, 1, "Leave it out for the snapshot's size.", 65_536),
      ...tagRules(props.tags),
    ]);
    const { architecture = "x86_64", rootDeviceName = "/dev/sda1", snapshot } = props;
    const snapshotId = typeof snapshot === "string" ? snapshot : snapshot.snapshotId;
    this.condition = props.when ?? (typeof snapshot === "string" ? undefined : snapshot.condition);
    this.rootDeviceName = rootDeviceName;
    this.volumeSizeGib = props.volumeSizeGib ?? (typeof snapshot === "string" ? undefined : snapshot.sizeGib);
    this.resource = new Ami(this, "Resource", {
      name: `${name}-${snapshotId}-${sumOf(props)}`,
      description: `${name}, launched from ${snapshotId}`,
      architecture,
      bootMode: props.bootMode ?? (architecture === "arm64" ? "uefi" : "legacy-bios"),
      virtualizationType: "hvm",
      enaSupport: props.enaSupport ?? true,
      imdsSupport: "v2.0",
      rootDeviceName,
      ebsBlockDevice: [
        {
          deviceName: rootDeviceName,
          snapshotId,
          volumeType: "gp3",
          volumeSize: this.volumeSizeGib,
          deleteOnTermination: true,
        },
      ],
      tags: { Name: name, ...props.tags },
      count: countOf(this.condition),
      // A new image is there before the launch template lets go of the old one.
      lifecycle: { createBeforeDestroy: true, ignoreChanges: NEVER_CHANGES },
      provider: props.provider,
    });
    this.imageId = attribute(this.resource, "id");
  }
}

/** An image's settings, short: another sum is another image. */
function sumOf({ architecture, bootMode, enaSupport, rootDeviceName, volumeSizeGib }: AwsImageProps): string {
  const settings = JSON.stringify({ architecture, bootMode, enaSupport, rootDeviceName, volumeSizeGib });
  return createHash("sha256").update(settings).digest("hex").slice(0, 8);
}

/** @internal */
export function imageRules(settings: AwsImageSettings): readonly Rule[] {
  const { architecture, bootMode, rootDeviceName } = settings;
  return [
    rule(
      architecture !== "arm64" || bootMode === undefined || bootMode === "uefi",
      "bootMode",
      `must be uefi for arm64, got "${bootMode}"`,
      "Leave it out.",
    ),
    rule(
      rootDeviceName === undefined ||
        Token.isUnresolved(rootDeviceName) ||
        /^\/dev\/[a-z0-9]+$/.test(rootDeviceName),
      "rootDeviceName",
      `must be a device such as /dev/sda1 or /dev/xvda, got ${JSON.stringify(rootDeviceName)}`,
      "Leave it out for /dev/sda1.",
    ),
  ];
}
