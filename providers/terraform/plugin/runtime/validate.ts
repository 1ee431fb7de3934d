import { formatPath, type DiagnosticReport, type Path } from "../diagnostic";
import { UNKNOWN, isWhollyKnown, type AnyAttribute, type Attributes, type LeafForm } from "../schema";
import { asObject, decimalOf, entriesOf, type Raw, type RawObject } from "../values/raw";
import { toHandler } from "../values/to-handler";

/** Everything that is wrong with the known values of a configuration, by the checks of its attributes. */
export function checkConfig(attributes: Attributes, config: RawObject, path: Path = []): DiagnosticReport[] {
  return entriesOf(attributes).flatMap(([name, attribute]) =>
    checkValue(attribute, config[name] ?? null, [...path, name], attribute.options.sensitive),
  );
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
    if (problem) return [report(path, problem, undefined, raw, hidden)];
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
    reports.push(
      typeof result === "string"
        ? report(path, result, undefined, raw, hidden)
        : report(path, result.problem, result.mend, raw, hidden),
    );
  }
  return reports;
}

function report(
  path: Path,
  problem: string,
  mend: string | undefined,
  raw: Raw,
  hidden: boolean,
): DiagnosticReport {
  const got = hidden ? "" : `, got ${shown(raw)}`;
  return { summary: `\`${formatPath(path)}\` ${problem}${got}`, detail: mend, path };
}

function numberProblem(form: LeafForm, raw: Raw): string | undefined {
  if (form === "number" && !Number.isFinite(Number(raw))) return "must be below 1.8e308";
  if (form === "integer") {
    if (typeof raw === "number" && Number.isSafeInteger(raw)) return undefined;
    return decimalOf(raw as number | bigint | string).isInteger
      ? "must be at most 2^53"
      : "must be a whole number";
  }
  if (form === "bigint" && !decimalOf(raw as number | bigint | string).isInteger)
    return "must be a whole number";
  return undefined;
}

function shown(raw: Raw): string {
  if (typeof raw === "string") return JSON.stringify(raw);
  const text =
    raw !== null && typeof raw === "object"
      ? JSON.stringify(raw, (_, part: unknown) => (typeof part === "bigint" ? part.toString() : part))
      : String(raw);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
