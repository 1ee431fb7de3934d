import { asObject, type JsonObject, type JsonValue } from "../json";

/** An attribute as a plan has it: it may be unset, or be known only after apply. */
export type Known<T> =
  | { readonly state: "known"; readonly value: T }
  | { readonly state: "unset" }
  | { readonly state: "unknown" };

const UNSET = { state: "unset" } as const;
const UNKNOWN = { state: "unknown" } as const;

/** The attributes of a resource at one side of a plan. */
export class Values {
  /** @param complete false: a key that is not there is one whose value is known only after apply */
  constructor(
    private readonly object: JsonObject,
    private readonly complete: boolean,
  ) {}

  /** The value at a path of names and list indices. */
  at(...path: readonly (string | number)[]): Known<JsonValue> {
    let current: JsonValue = this.object;
    for (const step of path) {
      if (current === null) return UNSET;
      if (typeof step === "number") {
        if (!Array.isArray(current)) return UNKNOWN;
        if (step >= current.length) return UNSET;
        current = current[step] as JsonValue;
        continue;
      }
      const object = asObject(current);
      if (!object) return UNKNOWN;
      if (!Object.hasOwn(object, step)) return this.complete ? UNSET : UNKNOWN;
      current = object[step] as JsonValue;
    }
    return current === null ? UNSET : { state: "known", value: current };
  }

  text(...path: readonly (string | number)[]): Known<string> {
    const found = this.at(...path);
    if (found.state !== "known") return found;
    if (found.value === "") return UNSET;
    return typeof found.value === "string" ? { state: "known", value: found.value } : UNKNOWN;
  }

  number(...path: readonly (string | number)[]): Known<number> {
    const found = this.at(...path);
    if (found.state !== "known") return found;
    const value = typeof found.value === "string" ? Number(found.value || "NaN") : found.value;
    return typeof value === "number" && Number.isFinite(value) ? { state: "known", value } : UNKNOWN;
  }

  /** A boolean, or the text of one: Terraform has both. */
  flag(...path: readonly (string | number)[]): Known<boolean> {
    const found = this.at(...path);
    if (found.state !== "known") return found;
    if (found.value === true || found.value === "true") return { state: "known", value: true };
    if (found.value === false || found.value === "false") return { state: "known", value: false };
    return found.value === "" ? UNSET : UNKNOWN;
  }

  /** The blocks (or items) of a list, each as values of its own; none when it is unset or unknown. */
  list(...path: readonly (string | number)[]): readonly Values[] {
    const found = this.at(...path);
    if (found.state !== "known" || !Array.isArray(found.value)) return [];
    return (found.value as readonly JsonValue[]).map(
      (item) => new Values(asObject(item) ?? {}, this.complete),
    );
  }

  /** How many a list has. */
  length(...path: readonly (string | number)[]): Known<number> {
    const found = this.at(...path);
    if (found.state !== "known") return found;
    return Array.isArray(found.value) ? { state: "known", value: found.value.length } : UNKNOWN;
  }
}

/** The value, or undefined when it is unset or not known. */
export function valueOf<T>(known: Known<T>): T | undefined {
  return known.state === "known" ? known.value : undefined;
}
