import { charge, unknown, type Biller, type Finding, type Question } from "./charge";
import type { Resource } from "./stack";
import { valueOf, type Values } from "./values";

/** A gp3 volume has so many without charge. */
const FREE_IOPS = 3_000;
const FREE_MIBPS = 125;

/** A volume as EC2 makes it. */
export interface Volume {
  readonly sizeGb: number;
  /** @default gp2, as at EC2 */
  readonly type?: string;
  readonly iops?: number;
  readonly throughput?: number;
}

/** What a volume costs, whether it is used or not. */
export function volumeFindings(
  question: Question,
  { sizeGb, type = "gp2", iops, throughput }: Volume,
): Finding[] {
  const item = `volume ${type}`;
  const per = "month";
  const found = [charge(question, { item, quantity: sizeGb, unit: "GB", per }, "volumes", type, "gbMonth")];
  const free = type === "gp3" ? { iops: FREE_IOPS, throughput: FREE_MIBPS } : { iops: 0, throughput: 0 };
  const paidIops = Math.max(0, (iops ?? 0) - free.iops);
  // A gp2 volume's IOPS come with its size; providers print them all the same.
  if (paidIops > 0 && type !== "gp2") {
    const measure = { item: `${item}, provisioned IOPS`, quantity: paidIops, unit: "IOPS", per } as const;
    found.push(charge(question, measure, "volumes", type, "iopsMonth"));
  }
  const paidThroughput = Math.max(0, (throughput ?? 0) - free.throughput);
  if (paidThroughput > 0 && type === "gp3") {
    const measure = { item: `${item}, throughput`, quantity: paidThroughput, unit: "MiB/s", per } as const;
    found.push(charge(question, measure, "volumes", type, "throughputMonth"));
  }
  return found;
}

/** `aws_ebs_volume`. */
export const ebsVolume: Biller = (question) => {
  const { values } = question;
  const sizeGb = valueOf(values.number("size")) ?? snapshotGb(question, question.resource, "snapshot_id");
  const type = valueOf(values.text("type")) ?? "gp2";
  if (sizeGb === undefined) return [sizeUnknown(`volume ${type}`)];
  return volumeFindings(question, { sizeGb, type, ...performance(values) });
};

/** `aws_ebs_snapshot`: at most what its volume holds. */
export const ebsSnapshot: Biller = (question) => {
  const size = valueOf(question.values.number("volume_size"));
  if (size === undefined) return [sizeUnknown("snapshot")];
  const ceiling = "free blocks, and those that an earlier snapshot has, are not charged";
  const measure = { item: "snapshot", quantity: size, unit: "GB", per: "month", ceiling } as const;
  return [charge(question, measure, "snapshotGbMonth")];
};

export function sizeUnknown(item: string): Finding {
  return unknown(item, "the plan does not tell its size", "Write the size into the program.");
}

/** Provisioned IOPS and throughput, where they are said. */
export function performance(values: Values): Pick<Volume, "iops" | "throughput"> {
  const iops = valueOf(values.number("iops"));
  const throughput = valueOf(values.number("throughput"));
  return { ...(iops === undefined ? {} : { iops }), ...(throughput === undefined ? {} : { throughput }) };
}

/** The size of the volume that a snapshot becomes, when the plan has the snapshot. */
export function snapshotGb(
  { stack, side }: Pick<Question, "stack" | "side">,
  from: Resource,
  ...path: readonly (string | number)[]
): number | undefined {
  const types = ["spillway_image_replica", "aws_ebs_snapshot"];
  const snapshot = stack.follow(from, side, path, types, ["snapshot_id", "id"]);
  const values = snapshot?.[side];
  if (!values) return undefined;
  const bytes = valueOf(values.number("size_bytes"));
  return bytes === undefined ? valueOf(values.number("volume_size")) : Math.ceil(bytes / 2 ** 30);
}
