import { charge, unknown, type Biller, type Finding, type Question } from "./charge";
import { valueOf, type Values } from "./values";

/** EBS stores, takes and charges blocks of so many bytes. */
const BLOCK_BYTES = 512 * 1_024;

/** Bytes of a GB, as AWS counts storage. */
const GB = 2 ** 30;

const isSnapshot = (values: Values): boolean => valueOf(values.text("target")) === "ebs";

/** `spillway_image_replica` at EBS: the snapshot that it is. One at a site costs what the site costs. */
export const imageSnapshot: Biller = (question) => {
  const { values } = question;
  if (!isSnapshot(values)) return [];
  // One that was imported tells no bytes in use.
  const inUse = valueOf(values.number("transfer", "in_use_bytes"));
  const bytes = inUse === undefined || inUse === 0 ? valueOf(values.number("size_bytes")) : inUse;
  if (bytes === undefined) return [sizeNotYet("snapshot")];
  const ceiling = "blocks that an earlier snapshot has are not charged again";
  const measure = { item: "snapshot", quantity: bytes / GB, unit: "GB", per: "month", ceiling } as const;
  return [charge(question, measure, "snapshotGbMonth")];
};

/** What bringing an image there costs once: the blocks that are written, and the bytes that come in. */
export function imageTransfer(question: Question): readonly Finding[] {
  const { values } = question;
  if (!isSnapshot(values)) return [];
  const bytes =
    valueOf(values.number("transfer", "send_bytes")) ?? valueOf(values.number("transfer", "in_use_bytes"));
  if (bytes === undefined) return [sizeNotYet("image transfer")];
  const per = "hour";
  const blocks = { item: "blocks written to the snapshot", quantity: Math.ceil(bytes / BLOCK_BYTES) / 1_000 };
  const inward = { item: "data from the internet", quantity: bytes / 1e9, unit: "GB", per } as const;
  return [
    charge(question, { ...blocks, unit: "thousand blocks", per }, "snapshotPutPer1000"),
    charge(question, inward, "dataInGb"),
  ];
}

function sizeNotYet(item: string): Finding {
  return unknown(
    item,
    "the plan does not tell the image's size",
    "Plan where the image can be read: the size is known then.",
  );
}

/** Does the snapshot stay when the replica is destroyed? */
export function isRetained(values: Values): boolean {
  return isSnapshot(values) && valueOf(values.flag("retain")) !== false;
}
