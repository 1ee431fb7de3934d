import { formatPath, type DiagnosticReport, type Path } from "../diagnostic";
import type { AnyAttribute, Attributes } from "../schema";
import { SEVERITY, type AttributePath, type Diagnostic, type DraftOf } from "../protocol/messages";

type StepDraft = { attributeName: string } | { elementKeyString: string } | { elementKeyInt: number };

/**
 * A path as Terraform addresses it, as far as the schema goes: elements of sets have no address, and an attribute that is not in
 * the schema (an error of some library) would make Terraform refuse the whole diagnostic.
 */
export function pathWire(attributes: Attributes, path: Path): DraftOf<typeof AttributePath> {
  const steps: StepDraft[] = [];
  let object: Attributes | undefined = attributes;
  let attribute: AnyAttribute | undefined;
  for (const step of path) {
    if (object) {
      const next: AnyAttribute | undefined = object[step];
      if (typeof step !== "string" || !next) break;
      steps.push({ attributeName: step });
      attribute = next;
      object =
        next.kind.shape === "nested" && next.kind.nesting === "single" ? next.kind.attributes : undefined;
    } else {
      const kind: AnyAttribute["kind"] | undefined = attribute?.kind;
      if (!kind || kind.shape === "leaf") break;
      if (kind.nesting === "list" && typeof step === "number") steps.push({ elementKeyInt: step });
      else if (kind.nesting === "map") steps.push({ elementKeyString: String(step) });
      else break;
      object = kind.shape === "nested" ? kind.attributes : undefined;
      attribute = kind.shape === "collection" ? kind.element : undefined;
    }
  }
  return { steps };
}

/** A diagnostic as Terraform gets it. */
export function diagnosticWire(report: DiagnosticReport, attributes: Attributes): DraftOf<typeof Diagnostic> {
  const path = report.path ?? [];
  const attribute = path.length > 0 ? pathWire(attributes, path) : undefined;
  const details = report.detail ? [report.detail] : [];
  // Terraform shows only the header of the block for a nested attribute of a configuration in HCL.
  if (path.length > 1 && !`${report.summary}${report.detail ?? ""}`.includes(`\`${formatPath(path)}\``)) {
    details.push(`Attribute: \`${formatPath(path)}\`.`);
  }
  return {
    severity: SEVERITY[report.severity ?? "error"],
    summary: report.summary,
    detail: details.join("\n"),
    attribute: attribute && (attribute.steps?.length ?? 0) > 0 ? attribute : undefined,
  };
}
