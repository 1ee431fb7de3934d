import { a, timeouts, type CheckResult, type State } from "../plugin";
import { bandwidthAttributes } from "./bandwidth";
import { isDigest, isNotEmpty, isOneOf, isSiteName } from "./checks";

export const transferAttributes = {
  total_bytes: a.integer().computed().describe("Bytes of the virtual disk."),
  in_use_bytes: a
    .integer()
    .computed()
    .describe("Bytes of it that are in use; the others are zeros, and are not sent."),
  present_bytes: a
    .integer()
    .computed()
    .describe(
      "Bytes in use that the site held already, in any image, when it was planned; of a snapshot, those that its parent has.",
    ),
  send_bytes: a
    .integer()
    .computed()
    .describe(
      "Bytes to send, before compression; of a snapshot, whole blocks of 512 KiB, which are sent as they are.",
    ),
  ratio: a.number().computed().describe("`send_bytes` over `total_bytes`."),
  eta: a
    .string()
    .computed()
    .describe(
      "How long that takes at `rate_mbps` (or at `bandwidth.cap`, where that is less and there are no windows), packed as well as what crossed this link before.",
    ),
  rate_mbps: a
    .number()
    .computed()
    .describe("The link's rate that was measured last, or the assumed one; megabits per second."),
};

const isRegion = (text: string): CheckResult =>
  /^[a-z]{2}(-[a-z]+)+-\d+$/.test(text)
    ? undefined
    : { problem: "must be an AWS region", mend: "Write it as eu-central-1." };

const isSnapshotId = (text: string): CheckResult =>
  /^snap-[0-9a-z]+$/.test(text)
    ? undefined
    : { problem: "must be a snapshot's id", mend: "Write it as snap-0123456789abcdef0." };

const ebsAttributes = {
  region: a
    .string()
    .optional()
    .forceNew()
    .check(isRegion)
    .describe("Where the snapshot is. Without it, where the AWS SDK says: `AWS_REGION`, the profile."),
  parent_snapshot_id: a
    .string()
    .optional()
    .check(isSnapshotId)
    .describe(
      "Only blocks that differ from this snapshot are sent. Without it, the one of Spillway's own that leaves the least to send. Counts when the snapshot is made. Not together with `encrypted` or `kms_key_id`: a snapshot is encrypted as its parent is.",
    ),
  encrypted: a
    .bool()
    .optional()
    .forceNew()
    .describe(
      "Without it, as the account has it. An encrypted snapshot is sent whole once: zeros and free blocks too.",
    ),
  kms_key_id: a
    .string()
    .optional()
    .forceNew()
    .check(isNotEmpty)
    .describe("ARN of the KMS key that encrypts it. Without it, the account's for EBS."),
  description: a
    .string()
    .optional()
    .check(isNotEmpty)
    .describe("Of the snapshot, when it is made; AWS changes none later. Without it, it names the image."),
  tags: a
    .map(a.string())
    .optional()
    .describe("Of the snapshot, beside those that begin with `spillway:`, by which it is known again."),
};

export const replicaSchema = {
  id: a.string().computed().keepPrior().describe("`SITE/DIGEST`; of a snapshot `ebs/REGION/DIGEST`."),
  site: a
    .string()
    .optional()
    .forceNew()
    .check(isSiteName)
    .describe(
      'The site that is to hold the image. With `target = "ebs"` it may be left out: the snapshot is made from here. With it, the agent of that site makes it, of an image that is sent there packed.',
    ),
  target: a
    .string()
    .default("site")
    .forceNew()
    .check(isOneOf("site", "ebs"))
    .describe(
      "What becomes of the image: `site`, an image that a site's agent holds; `ebs`, an EBS snapshot.",
    ),
  ebs: a.nested(ebsAttributes).optional().describe('How the snapshot is made, with `target = "ebs"`.'),
  source: a
    .string()
    .check(isNotEmpty)
    .describe(
      "Path of the image file, raw or qcow2, at the machine that runs Terraform. Another path with the same content is no new image.",
    ),
  format: a
    .string()
    .optional()
    .check(isOneOf("raw", "qcow2"))
    .describe(
      "How the file is read: `raw` or `qcow2`. Left out, it is told from the file's first bytes; name it for images of machines that are not trusted.",
    ),
  exact: a
    .bool()
    .default(false)
    .describe(
      "Bit by bit. `false`: what the image's file systems call free counts as zeros and is not sent. A change that makes another image of the source makes another replica.",
    ),
  digest: a
    .string()
    .optionalComputed()
    .keepPrior()
    .check(isDigest)
    .describe(
      "`sha256:` and 64 hex digits, of the whole image, as `spillway image index FILE` prints it. When given, the source must have it. Another digest is another replica.",
    ),
  bandwidth: a
    .nested(bandwidthAttributes)
    .optional()
    .describe(
      "What the transfer may take of the link, and when. It can also be changed while a transfer runs, for the whole machine: `spillway image cap`.",
    ),
  retain: a
    .bool()
    .default(true)
    .describe(
      "A destroy keeps the image at the site (or the snapshot), so that the next transfer is short. `false`: it is deleted there.",
    ),
  size_bytes: a.integer().computed().keepPrior().describe("Bytes of the virtual disk."),
  snapshot_id: a
    .string()
    .computed()
    .nullable()
    .keepPrior()
    .describe("Id of the EBS snapshot, for `aws_ami`; null of an image at a site."),
  transfer: a
    .nested(transferAttributes)
    .computed()
    .keepPrior()
    .describe(
      "What the transfer takes: known in the plan that creates the replica, and kept as it was then.",
    ),
  timeouts: timeouts({ create: "24h" }),
};

export type Replica = State<typeof replicaSchema>;
export type Transfer = State<typeof transferAttributes>;
export type EbsSettings = State<typeof ebsAttributes>;
