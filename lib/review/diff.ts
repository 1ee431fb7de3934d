import { asArray, asObject, sameJson, type JsonValue } from "./json";
import { SENSITIVE, type AttributeChange } from "./model";
import type { Redactor } from "./secrets";

/** The two sides of a change as the plan has them, unredacted. */
export interface Sides {
  readonly before: JsonValue | undefined;
  readonly after: JsonValue | undefined;
  /** `true` where the value is known only after apply. */
  readonly unknown: JsonValue | undefined;
  readonly beforeMask: JsonValue | undefined;
  readonly afterMask: JsonValue | undefined;
}

/** What differs, leaf by leaf, sorted by path as it is met. Lists of unlike length differ as a whole. */
export function diff(sides: Sides, redactor: Redactor): AttributeChange[] {
  const found: AttributeChange[] = [];
  walk(sides, "", redactor, found);
  return found;
}

function walk(sides: Sides, path: string, redactor: Redactor, found: AttributeChange[]): void {
  const { before, after, unknown, beforeMask, afterMask } = sides;
  const anyUnknown = hasTrue(unknown);
  if (!anyUnknown && sameJson(before, after)) return;
  if (beforeMask === true || afterMask === true) {
    found.push({
      path,
      ...(before === undefined ? {} : { before: SENSITIVE }),
      ...(after === undefined ? {} : { after: SENSITIVE }),
      afterUnknown: unknown === true,
      sensitive: true,
    });
    return;
  }
  const left = asObject(before);
  const right = asObject(after);
  const unknowns = asObject(unknown);
  if (unknown !== true && ((left && right) || (path === "" && (left || right)))) {
    const keys = new Set([
      ...Object.keys(left ?? {}),
      ...Object.keys(right ?? {}),
      ...Object.keys(unknowns ?? {}),
    ]);
    for (const key of [...keys].sort()) {
      walk(
        {
          before: left?.[key],
          after: right?.[key],
          unknown: unknowns?.[key],
          beforeMask: asObject(beforeMask)?.[key],
          afterMask: asObject(afterMask)?.[key],
        },
        path === "" ? redactor.text(key) : `${path}.${redactor.text(key)}`,
        redactor,
        found,
      );
    }
    return;
  }
  if (unknown !== true && Array.isArray(before) && Array.isArray(after) && before.length === after.length) {
    for (let index = 0; index < before.length; index++) {
      walk(
        {
          before: before[index] as JsonValue,
          after: after[index] as JsonValue,
          unknown: asArray(unknown)[index],
          beforeMask: asArray(beforeMask)[index],
          afterMask: asArray(afterMask)[index],
        },
        `${path}[${index}]`,
        redactor,
        found,
      );
    }
    return;
  }
  found.push(leaf(sides, path, redactor));
}

function leaf(sides: Sides, path: string, redactor: Redactor): AttributeChange {
  const before =
    sides.before === undefined ? undefined : redactor.value(maskedLeaf(sides.before, sides.beforeMask));
  const after =
    sides.after === undefined ? undefined : redactor.value(maskedLeaf(sides.after, sides.afterMask));
  const hidden = (raw: JsonValue | undefined, shown: JsonValue | undefined) => !sameJson(raw, shown);
  return {
    path,
    ...(before === undefined ? {} : { before }),
    ...(after === undefined ? {} : { after }),
    afterUnknown: sides.unknown === true || (sides.after === undefined && hasTrue(sides.unknown)),
    sensitive: hidden(sides.before, before) || hidden(sides.after, after),
  };
}

function maskedLeaf(value: JsonValue, mask: JsonValue | undefined): JsonValue {
  return hasTrue(mask) ? SENSITIVE : value;
}

function hasTrue(value: JsonValue | undefined): boolean {
  if (value === true) return true;
  if (Array.isArray(value)) return value.some((item) => hasTrue(item as JsonValue));
  return Object.values(asObject(value) ?? {}).some(hasTrue);
}
