import { charge, times, unknown, type Biller, type Finding, type Question } from "./charge";
import {
  detailedMonitoring,
  imageAt,
  publicAddresses,
  rootUnknown,
  templateExtras,
  templateOf,
  type Template,
} from "./launch";
import { valueOf, type Values } from "./values";
import { performance, sizeUnknown, volumeFindings } from "./volumes";

const SPOT = "Spot: its price is the market's, and at most the on-demand price that is counted";

/** `aws_autoscaling_group`: as many instances as are desired, and what its warm pool holds. */
export const autoScalingGroup: Biller = (question) => {
  const capacity = capacityOf(question);
  if (typeof capacity === "string") {
    return [unknown("instances", capacity, "Write `desired_capacity` into the program.")];
  }
  const mixed = question.values.list("mixed_instances_policy").length > 0;
  const pool = mixed ? mixedPool(question) : simplePool(question);
  if (typeof pool === "string") {
    const mend = "Plan group and launch template together, or name the type in the program.";
    return [unknown("instances", pool, mend, capacity)];
  }
  const count = Math.ceil(capacity / pool.weight);
  const onDemand = pool.spotOnly
    ? 0
    : Math.min(
        count,
        pool.onDemandBase + Math.ceil(Math.max(0, count - pool.onDemandBase) * pool.onDemandShare),
      );
  const findings: Finding[] = [];
  if (onDemand > 0) findings.push(hours(question, pool, onDemand, false));
  if (count > onDemand) findings.push(hours(question, pool, count - onDemand, true));
  if (count > 0) findings.push(...times(count, templateExtras(question, pool.template)));
  return [...findings, ...warmPool(question, pool, count)];
};

/** What a group launches its instances from. */
interface Pool {
  readonly type: string;
  /** Types that it falls back to. */
  readonly others: readonly string[];
  /** Capacity that an instance counts for. */
  readonly weight: number;
  readonly onDemandBase: number;
  /** Of what is above the base, 0..1. */
  readonly onDemandShare: number;
  readonly spotOnly: boolean;
  readonly template: Template;
}

function capacityOf({ values, resource, side }: Question): number | string {
  const desired = values.number("desired_capacity");
  if (desired.state === "known") return desired.value;
  // A group that is made without a desired capacity begins with its least.
  const left = resource.references["desired_capacity"] === undefined;
  const least = values.number("min_size");
  if (left && side === "after" && resource.before === undefined && least.state === "known")
    return least.value;
  return "the plan does not tell its desired capacity";
}

function simplePool(question: Question): Pool | string {
  if (question.values.list("launch_template").length === 0) {
    return "it is launched from a launch configuration, which is not read";
  }
  const template = templateOf(question, ["launch_template", 0]);
  if (typeof template === "string") return template;
  const type = valueOf(template.values.text("instance_type"));
  if (type === undefined) return `${template.resource.address} does not tell its instance type`;
  return { ...ON_DEMAND, type, template, spotOnly: isSpot(template.values) };
}

const ON_DEMAND = { others: [], weight: 1, onDemandBase: 0, onDemandShare: 1, spotOnly: false } as const;

function mixedPool(question: Question): Pool | string {
  const policy = ["mixed_instances_policy", 0] as const;
  const specification = [...policy, "launch_template", 0, "launch_template_specification", 0] as const;
  const names = { id: "launch_template_id", name: "launch_template_name" };
  const template = templateOf(question, specification, names);
  if (typeof template === "string") return template;
  const { values } = question;
  const overrides = values.list(...policy, "launch_template", 0, "override");
  const ofTemplate = valueOf(template.values.text("instance_type"));
  const types = overrides.map((each) => valueOf(each.text("instance_type")));
  const known = types.filter((type) => type !== undefined);
  const type = overrides.length === 0 ? ofTemplate : types[0];
  if (type === undefined) return "it takes any instance type that meets its requirements";
  const share = values.number(
    ...policy,
    "instances_distribution",
    0,
    "on_demand_percentage_above_base_capacity",
  );
  const base = values.number(...policy, "instances_distribution", 0, "on_demand_base_capacity");
  const weight = valueOf(overrides[0]?.number("weighted_capacity") ?? { state: "unset" });
  return {
    type,
    others: known.filter((each) => each !== type),
    weight: weight !== undefined && weight > 0 ? weight : 1,
    onDemandBase: valueOf(base) ?? 0,
    onDemandShare: Math.min(1, Math.max(0, (valueOf(share) ?? 100) / 100)),
    spotOnly: false,
    template,
  };
}

function hours(
  question: Question,
  pool: Pick<Pool, "type" | "others">,
  quantity: number,
  spot: boolean,
): Finding {
  const item = `instance ${pool.type}${spot ? " (Spot)" : ""}`;
  const note = fallback(question, pool);
  return charge(
    question,
    {
      item,
      quantity,
      unit: "instances",
      per: "hour",
      ...(spot ? { ceiling: SPOT } : {}),
      ...(note === undefined ? {} : { note }),
    },
    "instances",
    pool.type,
  );
}

/** What an instance may cost instead, when the first type has no capacity. */
function fallback(
  { region, prices }: Question,
  { type, others }: Pick<Pool, "type" | "others">,
): string | undefined {
  if (region === undefined || others.length === 0) return undefined;
  const price = (each: string) => prices.find("regions", region, "instances", each)?.amount;
  const own = price(type);
  const dearer = others
    .map((each) => ({ each, amount: price(each) }))
    .filter(({ amount }) => amount === undefined || own === undefined || amount > own);
  if (dearer.length === 0) return undefined;
  const named = dearer.map(({ each, amount }) => `${each} at ${amount ?? "a price not known"}`);
  return `without capacity it falls back to ${named.join(", ")}`;
}

function warmPool(question: Question, pool: Pool, running: number): Finding[] {
  const { values } = question;
  const [warm] = values.list("warm_pool");
  if (!warm) return [];
  const prepared = valueOf(warm.number("max_group_prepared_capacity"));
  const most = prepared !== undefined && prepared >= 0 ? prepared : valueOf(values.number("max_size"));
  if (most === undefined) {
    return [unknown("warm pool", "the plan does not tell its size", "Write `max_size` into the program.")];
  }
  const least = valueOf(warm.number("min_size")) ?? 0;
  const size = Math.max(least, Math.ceil(most / pool.weight) - running);
  if (size <= 0) return [];
  const extras = times(size, templateExtras(question, pool.template));
  const state = valueOf(warm.text("pool_state")) ?? "Stopped";
  const held = state === "Running" ? [hours(question, pool, size, false), ...extras] : storage(extras);
  return held.map((finding) => ({ ...finding, item: `warm pool: ${finding.item}` }));
}

/** What a stopped instance goes on costing. */
function storage(findings: readonly Finding[]): Finding[] {
  return findings.filter(({ item }) => item.includes("volume"));
}

/** `aws_instance`. */
export const instance: Biller = (question) => {
  const { values, resource, side } = question;
  const tenancy = valueOf(values.text("tenancy"));
  const template =
    values.list("launch_template").length > 0 ? templateOf(question, ["launch_template", 0]) : undefined;
  const ofTemplate = typeof template === "object" ? template.values : undefined;
  const type =
    valueOf(values.text("instance_type")) ?? (ofTemplate && valueOf(ofTemplate.text("instance_type")));
  const findings: Finding[] = [];
  if (type === undefined) {
    findings.push(unknown("instance", "the plan does not tell its type", "Name the type in the program."));
  } else if (tenancy !== undefined && tenancy !== "default") {
    const mend = "It is not counted; the price list of your contract has it.";
    findings.push(unknown(`instance ${type}`, `prices are of shared tenancy, and this is ${tenancy}`, mend));
  } else {
    findings.push(hours(question, { type, others: [] }, 1, isSpot(values)));
  }
  if (valueOf(values.flag("associate_public_ip_address")) === true)
    findings.push(publicAddresses(question, 1));
  if (valueOf(values.flag("monitoring")) === true) findings.push(detailedMonitoring(question));
  const [root] = values.list("root_block_device");
  const image = imageAt(question, resource, "ami");
  const rootOfImage = image?.root === undefined ? undefined : image.volumes.get(image.root);
  const rootSize = (root && valueOf(root.number("volume_size"))) ?? rootOfImage?.sizeGb;
  const rootType = (root && valueOf(root.text("volume_type"))) ?? rootOfImage?.type ?? "gp2";
  if (rootSize === undefined) findings.push(rootUnknown());
  else {
    const speed = root ? performance(root) : {};
    findings.push(...volumeFindings(question, { sizeGb: rootSize, type: rootType, ...speed }));
  }
  for (const device of values.list("ebs_block_device")) {
    const sizeGb = valueOf(device.number("volume_size"));
    const volumeType = valueOf(device.text("volume_type")) ?? "gp2";
    findings.push(
      ...(sizeGb === undefined
        ? [sizeUnknown(`volume ${volumeType}`)]
        : volumeFindings(question, { sizeGb, type: volumeType, ...performance(device) })),
    );
  }
  return side === "before" && valueOf(values.text("instance_state")) === "stopped"
    ? storage(findings)
    : findings;
};

function isSpot(values: Values): boolean {
  return valueOf(values.text("instance_market_options", 0, "market_type")) === "spot";
}
