import { formatPath, type DiagnosticReport, type Path } from "../diagnostic";
import { UNKNOWN, isWhollyKnown, type AnyAttribute, type Attributes, type LeafForm } from "../schema";
import { Decimal } from "../values/decimal";
import { asObject, decimalOf, entriesOf, type Raw, type RawObject } from "../values/raw";
import { toHandler } from "../values/to-handler";

/** Everything that is wrong with the known values of a configuration, by the checks of its attributes. */
export function checkConfig(attributes: Attributes, config: RawObject, path: Path = []): DiagnosticReport[] {
  return entriesOf(attributes).flatMap(([name, attribute]) => {
    const raw = config[name] ?? null;
    const at = [...path, name];
    // Terraform itself misses a null that is written out inside a nested attribute.
    if (raw === null && attribute.mode.startsWith("required")) {
      return [{ summary: `\`${formatPath(at)}\` must be given, got null`, path: at }];
    }
    return checkValue(attribute, raw, at, attribute.options.sensitive);
  });
}

/** What is wrong with one value. Also the arguments of functions. */
export function checkValue(
  attribute: AnyAttribute,
  raw: Raw,
  path: Path,
  hidden: boolean,
): DiagnosticReport[] {
  if (raw === null || raw === UNKNOWN) return [];
  const { kind, options } = attribute;
  const reports: DiagnosticReport[] = [];
  if (kind.shape === "leaf") {
    const problem = numberProblem(kind.form, raw);
    if (problem) return [report(path, problem, undefined, got(attribute, raw, hidden))];
  } else {
    const parts: [string | number, Raw][] =
      kind.nesting === "single"
        ? []
        : Array.isArray(raw)
          ? raw.map((part, index) => [index, part])
          : Object.entries(raw);
    for (const [key, part] of parts) {
      const at = [...path, key];
      if (part === null) {
        reports.push({
          summary: `\`${formatPath(at)}\` must not be null`,
          detail: "Leave the element out.",
          path: at,
        });
      } else if (kind.shape === "collection") {
        reports.push(...checkValue(kind.element, part, at, hidden || kind.element.options.sensitive));
      } else {
        reports.push(...checkConfig(kind.attributes, asObject(part) ?? {}, at));
      }
    }
    if (kind.nesting === "single") reports.push(...checkConfig(kind.attributes, asObject(raw) ?? {}, path));
    if (reports.length > 0) return reports;
  }
  if (options.checks.length === 0) return reports;
  const value = toHandler(attribute, raw);
  if (!isWhollyKnown(value)) return reports;
  for (const check of options.checks) {
    const result = check(value);
    if (result === undefined) continue;
    const { problem, mend } = typeof result === "string" ? { problem: result, mend: undefined } : result;
    reports.push(report(path, problem, mend, got(attribute, raw, hidden)));
  }
  return reports;
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
