import { formatPath, type DiagnosticReport, type Path } from "../diagnostic";
import {
  UNKNOWN,
  isWhollyKnown,
  isWriteOnly,
  type AnyAttribute,
  type Attributes,
  type LeafForm,
} from "../schema";
import { Decimal } from "../values/decimal";
import { asObject, decimalOf, entriesOf, type Raw, type RawObject } from "../values/raw";
import { toHandler } from "../values/to-handler";

/**
 * Everything that is wrong with the known values of a configuration, by the checks of its attributes.
 * @param hidden whether no value may be shown: the object around it is sensitive
 */
export function checkConfig(
  attributes: Attributes,
  config: RawObject,
  path: Path = [],
  hidden = false,
): DiagnosticReport[] {
  return entriesOf(attributes).flatMap(([name, attribute]) => {
    const raw = config[name] ?? null;
    const at = [...path, name];
    if (raw !== null) return checkValue(attribute, raw, at, hidden);
    // Terraform itself misses a null that is written out inside a nested attribute.
    return attribute.mode.startsWith("required")
      ? [{ summary: `\`${formatPath(at)}\` must be given, got null`, path: at }]
      : [];
  });
}

/** What is wrong with one value. Also the arguments of functions. */
export function checkValue(
  attribute: AnyAttribute,
  raw: Raw,
  path: Path,
  hiddenAround = false,
): DiagnosticReport[] {
  if (raw === null || raw === UNKNOWN) return [];
  const { kind, options } = attribute;
  const hidden = hiddenAround || options.sensitive || isWriteOnly(attribute);
  const reports = deprecation(attribute, path);
  const problem = kind.shape === "leaf" ? numberProblem(kind.form, raw) : undefined;
  if (problem) return [...reports, report(path, problem, undefined, got(attribute, raw, hidden))];
  const inside = partsOf(attribute, raw).flatMap(([at, part]) =>
    checkPart(attribute, part, [...path, ...at], hidden),
  );
  if (inside.some(({ severity }) => severity !== "warning")) return [...reports, ...inside];
  reports.push(...inside);

  const value = options.checks.length > 0 ? toHandler(attribute, raw) : UNKNOWN;
  if (!isWhollyKnown(value)) return reports;
  for (const check of options.checks) {
    const result = check(value);
    if (result === undefined) continue;
    const { problem, mend } = typeof result === "string" ? { problem: result, mend: undefined } : result;
    reports.push(report(path, problem, mend, got(attribute, raw, hidden)));
  }
  return reports;
}

/** The elements of a collection, the objects of a nested attribute, each with its place in it. */
function partsOf({ kind }: AnyAttribute, raw: Raw): [Path, Raw][] {
  if (kind.shape === "leaf") return [];
  if (kind.nesting === "single") return [[[], raw]];
  return Array.isArray(raw)
    ? raw.map((part, index) => [[index], part])
    : Object.entries(raw as RawObject).map(([key, part]) => [[key], part]);
}

function checkPart({ kind }: AnyAttribute, part: Raw, path: Path, hidden: boolean): DiagnosticReport[] {
  if (part === null) {
    return [{ summary: `\`${formatPath(path)}\` must not be null`, detail: "Leave the element out.", path }];
  }
  if (part === UNKNOWN) return [];
  if (kind.shape === "collection") return checkValue(kind.element, part, path, hidden);
  return kind.shape === "nested" ? checkConfig(kind.attributes, asObject(part) ?? {}, path, hidden) : [];
}

function deprecation({ options }: AnyAttribute, path: Path): DiagnosticReport[] {
  if (options.deprecated === undefined) return [];
  const summary = `\`${formatPath(path)}\` is deprecated`;
  return [{ severity: "warning", summary, detail: options.deprecated, path }];
}

function report(path: Path, problem: string, mend: string | undefined, got: string): DiagnosticReport {
  return { summary: `\`${formatPath(path)}\` ${problem}${got}`, detail: mend, path };
}

function numberProblem(form: LeafForm, raw: Raw): string | undefined {
  if (typeof raw === "number" || form === "string" || form === "bool" || form === "dynamic") return undefined;
  const exact = decimalOf(raw as bigint | string);
  if (form === "number" && !Number.isFinite(exact.toNumber())) return "must be below 1.8e308";
  if ((form === "integer" || form === "bigint") && !exact.isInteger) return "must be a whole number";
  if (form === "integer") return "must be at most 2^53";
  return isLostInPlans(exact) ? "has more digits than Terraform's plan files keep; round it" : undefined;
}

/**
 * Terraform writes a number that is exactly a double as a double, and compares numbers by their shortest digits: one that has
 * longer digits of its own (2^-30) comes back from a plan file as another number, and the apply would fail half way.
 */
function isLostInPlans(exact: Decimal): boolean {
  if (exact.isInteger) return false;
  const double = exact.toNumber();
  return Decimal.exactly(double).equals(exact) && !Decimal.of(double).equals(exact);
}

/** What was received, for the end of a sentence. */
function got({ kind }: AnyAttribute, raw: Raw, hidden: boolean): string {
  if (hidden) return "";
  const isText = kind.shape !== "leaf" || kind.form === "string" || kind.form === "dynamic";
  const text = isText
    ? JSON.stringify(raw, (_, part: unknown) => (typeof part === "bigint" ? part.toString() : part))
    : String(raw);
  return `, got ${text.length > 80 ? `${text.slice(0, 77)}...` : text}`;
}
