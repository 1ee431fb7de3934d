/**
 * The type of a value that Terraform does not know yet: it depends on something that only an apply will tell.
 * There is one value of it, {@link UNKNOWN}.
 */
export class Unknown {
  /** @internal */
  private readonly brand = "unknown";
  private constructor() {}

  /** @internal */
  static readonly value = new Unknown();

  toString(): string {
    return `(${this.brand} until apply)`;
  }
}

/** The one unknown value. Assign it to a planned attribute to leave it open until the apply. */
export const UNKNOWN: Unknown = Unknown.value;

/** Is this value still open? */
export function isUnknown(value: unknown): value is Unknown {
  return value === UNKNOWN;
}

/** `T` with every {@link Unknown} leaf taken out. */
export type Known<T> = T extends Unknown
  ? never
  : T extends readonly (infer E)[]
    ? Known<E>[]
    : T extends object
      ? { [K in keyof T]: Known<T[K]> }
      : T;

/** Is this value known, down to its last leaf? Narrows the type. */
export function isWhollyKnown<T>(value: T): value is T & Known<T> {
  if (value === UNKNOWN) return false;
  if (Array.isArray(value)) return value.every(isWhollyKnown);
  if (value !== null && typeof value === "object") return Object.values(value).every(isWhollyKnown);
  return true;
}
