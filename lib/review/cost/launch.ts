import { charge, chargeEverywhere, unknown, type Finding, type Question } from "./charge";
import type { Resource } from "./stack";
import { valueOf, type Values } from "./values";
import { performance, sizeUnknown, snapshotGb, volumeFindings, type Volume } from "./volumes";

/** Metrics that detailed monitoring of an instance makes. */
const DETAILED_METRICS = 7;

const ROOT_NAMES = new Set(["/dev/xvda", "/dev/sda1", "/dev/sda"]);

/** A launch template at one side of the plan, as its version in use has it. */
export interface Template {
  readonly resource: Resource;
  readonly values: Values;
}

/**
 * The template that a `launch_template` block at `path` names.
 * @returns what is not known, if it cannot be told
 */
export function templateOf(
  question: Question,
  path: readonly (string | number)[],
  names: { readonly id: string; readonly name: string } = { id: "id", name: "name" },
): Template | string {
  const { stack, resource, side, values } = question;
  const types = ["aws_launch_template"];
  const found =
    stack.follow(resource, side, [...path, names.id], types) ??
    stack.follow(resource, side, [...path, names.name], types, ["name", "id"]);
  const known = valueOf(values.text(...path, names.id)) ?? valueOf(values.text(...path, names.name));
  if (!found) return `its launch template ${known === undefined ? "" : `${known} `}is not in this plan`;
  const version = valueOf(values.text(...path, "version"));
  const sides = [found[side], found[side === "after" ? "before" : "after"]].filter(
    (each) => each !== undefined,
  );
  const [present] = sides;
  if (!present) return `its launch template ${found.address} is not in this plan`;
  if (version === undefined || !/^\d+$/.test(version)) return { resource: found, values: present };
  const latest = (each: Values) => valueOf(each.number("latest_version"));
  const exact = sides.find((each) => latest(each) === Number(version));
  if (exact) return { resource: found, values: exact };
  // Both sides are of another version: what the one in use holds, only AWS knows.
  if (sides.every((each) => latest(each) !== undefined)) {
    return `version ${version} of its launch template ${found.address} is not in this plan`;
  }
  return { resource: found, values: present };
}

/** What an instance of a template costs besides its hours. */
export function templateExtras(question: Question, { resource, values }: Template): Finding[] {
  const found = templateVolumes(question, resource, values);
  const addresses = values
    .list("network_interfaces")
    .filter((each) => valueOf(each.flag("associate_public_ip_address")) === true).length;
  if (addresses > 0) found.push(publicAddresses(question, addresses));
  if (valueOf(values.flag("monitoring", 0, "enabled")) === true) found.push(detailedMonitoring(question));
  return found;
}

export function publicAddresses(question: Question, quantity: number): Finding {
  const measure = { item: "public IPv4 address", quantity, unit: "addresses", per: "hour" } as const;
  return charge(question, measure, "publicIpv4Hour");
}

export function detailedMonitoring(question: Question): Finding {
  const measure = { item: "detailed monitoring", quantity: DETAILED_METRICS, unit: "metrics", per: "month" };
  return chargeEverywhere(question, { ...measure, per: "month" }, "metricMonth");
}

/** The volumes that an instance gets: those of its image, as the template has them otherwise, and the template's own. */
function templateVolumes(question: Question, template: Resource, values: Values): Finding[] {
  const image = imageOf(question, template);
  const mappings = values.list("block_device_mappings");
  const findings: Finding[] = [];
  const named = new Set<string>();
  mappings.forEach((mapping, index) => {
    const name = valueOf(mapping.text("device_name"));
    if (name !== undefined) named.add(name);
    if (mapping.list("ebs").length === 0) return;
    const ofImage = name === undefined ? undefined : image?.volumes.get(name);
    const path = ["block_device_mappings", index, "ebs", 0] as const;
    const [ebs] = mapping.list("ebs") as [Values];
    const sizeGb =
      valueOf(ebs.number("volume_size")) ??
      snapshotGb(question, template, ...path, "snapshot_id") ??
      ofImage?.sizeGb;
    const type = valueOf(ebs.text("volume_type")) ?? ofImage?.type;
    findings.push(...sized(question, { sizeGb, type, ...performance(ebs) }));
  });
  if (image) {
    for (const [name, volume] of image.volumes) {
      if (!named.has(name)) findings.push(...sized(question, volume));
    }
  } else if (![...named].some((name) => ROOT_NAMES.has(name))) {
    findings.push(rootUnknown());
  }
  return findings;
}

type Sized = Omit<Volume, "sizeGb" | "type"> & {
  readonly sizeGb: number | undefined;
  readonly type?: string | undefined;
};

function sized(question: Question, { sizeGb, type, ...rest }: Sized): Finding[] {
  if (sizeGb === undefined) return [sizeUnknown(`volume${type === undefined ? "" : ` ${type}`}`)];
  return volumeFindings(question, { sizeGb, ...(type === undefined ? {} : { type }), ...rest });
}

export function rootUnknown(): Finding {
  return unknown(
    "root volume",
    "its size is the machine image's, which is not in this plan",
    "Write the root volume's size into the program.",
  );
}

/** An image's volumes by device name, when the plan has the image. */
function imageOf(
  question: Question,
  template: Resource,
): { readonly volumes: ReadonlyMap<string, Sized> } | undefined {
  return imageAt(question, template, "image_id");
}

/** The image that an attribute names: one of the stack, or a data source's. */
export function imageAt(
  question: Question,
  from: Resource,
  attribute: string,
): { readonly root?: string; readonly volumes: ReadonlyMap<string, Sized> } | undefined {
  const { stack, side } = question;
  const image = stack.follow(from, side, [attribute], ["aws_ami"], ["id", "image_id"]);
  const values = image?.[side];
  if (!image || !values) return undefined;
  const volumes = new Map<string, Sized>();
  values.list("ebs_block_device").forEach((device, index) => {
    const name = valueOf(device.text("device_name"));
    if (name === undefined) return;
    const sizeGb =
      valueOf(device.number("volume_size")) ??
      snapshotGb(question, image, "ebs_block_device", index, "snapshot_id");
    volumes.set(name, { sizeGb, type: valueOf(device.text("volume_type")), ...performance(device) });
  });
  // A data source tells the same as texts, in maps.
  values.list("block_device_mappings").forEach((device) => {
    const name = valueOf(device.text("device_name"));
    const sizeGb = valueOf(device.number("ebs", "volume_size"));
    if (name === undefined || sizeGb === undefined) return;
    volumes.set(name, { sizeGb, type: valueOf(device.text("ebs", "volume_type")) });
  });
  const root = valueOf(values.text("root_device_name"));
  return { ...(root === undefined ? {} : { root }), volumes };
}
