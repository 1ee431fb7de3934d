import { asObject, type JsonObject } from "../json";
import { withoutKeys } from "../context";
import type { ChangeAction, PlanModel } from "../model";
import { Values, valueOf } from "./values";

export type Side = "before" | "after";

/** A resource on both sides of a plan. */
export interface Resource {
  readonly address: string;
  readonly type: string;
  readonly mode: "managed" | "data";
  readonly action: ChangeAction;
  readonly deposed: boolean;
  /** Undefined where it does not exist. */
  readonly before?: Values;
  readonly after?: Values;
  /** Of the provider that has it. */
  readonly provider: string;
  readonly references: Readonly<Record<string, readonly string[]>>;
}

/** All resources of a plan, and how they belong together. */
export class Stack {
  readonly resources: readonly Resource[];
  private readonly byAddress: ReadonlyMap<string, Resource>;
  /** By address without instance keys. */
  private readonly byBase = new Map<string, Resource[]>();
  private readonly byType = new Map<string, Resource[]>();
  private readonly regions = new Map<string, string>();

  /** @param hint the region of resources whose own the plan does not tell */
  constructor(
    model: PlanModel,
    private readonly hint?: string,
  ) {
    const configured = model.context?.configured ?? {};
    const belonging = (address: string) => {
      const found = configured[withoutKeys(address)];
      return { provider: found?.provider ?? "", references: found?.references ?? {} };
    };
    const changes = model.changes.map((change): Resource => {
      const { address, type, mode, action, deposed } = change;
      const sides = sidesOf(action, asObject(change.before), asObject(change.after));
      return { address, type, mode, action, deposed, ...sides, ...belonging(address) };
    });
    const standing = (model.context?.standing ?? []).map(({ address, type, mode, values }): Resource => {
      const side = new Values(values, true);
      const rest = { action: "no-op" as const, deposed: false, before: side, after: side };
      return { address, type, mode, ...rest, ...belonging(address) };
    });
    this.resources = [...changes, ...standing].sort((a, b) => compare(a.address, b.address));
    this.byAddress = new Map(
      this.resources.filter(({ deposed }) => !deposed).map((resource) => [resource.address, resource]),
    );
    for (const resource of this.resources) {
      add(this.byType, resource.type, resource);
      if (!resource.deposed) add(this.byBase, withoutKeys(resource.address), resource);
    }
    for (const [key, { region }] of Object.entries(model.context?.providers ?? {})) {
      if (region !== undefined) this.regions.set(key, region);
    }
    for (const resource of this.resources) {
      const region = ownRegion(resource);
      if (region !== undefined && resource.provider !== "" && !this.regions.has(resource.provider)) {
        this.regions.set(resource.provider, region);
      }
    }
  }

  /** The region of a resource: its own word, its provider's, or that of the provider's other resources. */
  regionOf(resource: Resource): string | undefined {
    return (
      ownRegion(resource) ?? this.regions.get(resource.provider) ?? this.hint ?? this.onlyRegion(resource)
    );
  }

  /**
   * The resource of one of `types` that an attribute of `from` names: by its value where that is known (`keys` are attributes that
   * hold it), else by what the configuration refers to.
   */
  follow(
    from: Resource,
    side: Side,
    path: readonly (string | number)[],
    types: readonly string[],
    keys: readonly string[] = ["id"],
  ): Resource | undefined {
    const values = from[side];
    const known = values && valueOf(values.text(...path));
    if (known !== undefined) {
      const named = (resource: Resource, which: Side) =>
        keys.some((key) => {
          const sideValues = resource[which];
          return sideValues !== undefined && valueOf(sideValues.text(key)) === known;
        });
      const candidates = types.flatMap((type) => this.byType.get(type) ?? []);
      const other = side === "after" ? "before" : "after";
      return candidates.find((each) => named(each, side)) ?? candidates.find((each) => named(each, other));
    }
    // The configuration is of what will be, not of what was.
    if (side === "before") return undefined;
    return this.referredTo(from, path.filter((step) => typeof step === "string").join("."), types);
  }

  /** The first resource of one of `types` that the expression at `path` refers to. */
  referredTo(from: Resource, path: string, types: readonly string[]): Resource | undefined {
    const prefix = modulePrefix(from.address);
    for (const reference of from.references[path] ?? []) {
      const address = `${prefix}${reference}`;
      const found = this.byAddress.get(address) ?? this.byBase.get(withoutKeys(address))?.[0];
      if (found && types.includes(found.type)) return found;
    }
    return undefined;
  }

  /** All resources of one of `types` that the expression at `path` refers to, and that are there after the plan. */
  allReferredTo(from: Resource, path: string, types: readonly string[]): readonly Resource[] {
    const prefix = withoutKeys(modulePrefix(from.address));
    const named = new Set((from.references[path] ?? []).map((each) => `${prefix}${withoutKeys(each)}`));
    return [...named]
      .flatMap((base) => this.byBase.get(base) ?? [])
      .filter(({ type, after }) => after && types.includes(type));
  }

  /** What is of another provider (an image's replica), or no longer in the program, is where all the rest is, when that is one region. */
  private onlyRegion(resource: Resource): string | undefined {
    if (resource.type.startsWith("aws_") && resource.provider !== "") return undefined;
    const regions = new Set(this.regions.values());
    return regions.size === 1 ? [...regions][0] : undefined;
  }
}

function sidesOf(
  action: ChangeAction,
  before: JsonObject | undefined,
  after: JsonObject | undefined,
): { before?: Values; after?: Values } {
  const present = before && new Values(before, true);
  switch (action) {
    case "read":
      return {};
    case "create":
      return after ? { after: new Values(after, false) } : {};
    case "delete":
      return present ? { before: present } : {};
    case "forget":
      // It leaves Terraform, and is charged as before.
      return present ? { before: present, after: present } : {};
    case "import": {
      // It was charged before Terraform knew of it.
      const values = present ?? (after && new Values(after, true));
      return values ? { before: values, after: after ? new Values(after, false) : values } : {};
    }
    case "no-op":
    case "move":
      return present ? { before: present, after: present } : {};
    default:
      return {
        ...(present ? { before: present } : {}),
        ...(after ? { after: new Values(after, false) } : {}),
      };
  }
}

/** The region that a resource's own attributes tell. */
function ownRegion({ before, after }: Resource): string | undefined {
  for (const values of [after, before]) {
    if (!values) continue;
    const named = valueOf(values.text("region")) ?? valueOf(values.text("ebs", "region"));
    if (named !== undefined) return named;
    const arn = /^arn:[\w-]+:[\w-]+:([a-z0-9-]+):/.exec(valueOf(values.text("arn")) ?? "")?.[1];
    if (arn !== undefined) return arn;
    const snapshot = /^ebs\/([a-z0-9-]+)\//.exec(valueOf(values.text("id")) ?? "")?.[1];
    if (snapshot !== undefined) return snapshot;
    const zone = valueOf(values.text("availability_zone")) ?? valueOf(values.text("availability_zones", 0));
    const ofZone = /^([a-z]{2,}(?:-[a-z]+)+-\d+)[a-z]$/.exec(zone ?? "")?.[1];
    if (ofZone !== undefined) return ofZone;
  }
  return undefined;
}

function modulePrefix(address: string): string {
  return /^(?:module\.[\w-]+(?:\[(?:\d+|"(?:[^"\\]|\\.)*")\])?\.)*/.exec(address)?.[0] ?? "";
}

function add(map: Map<string, Resource[]>, key: string, resource: Resource): void {
  const list = map.get(key);
  if (list) list.push(resource);
  else map.set(key, [resource]);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
