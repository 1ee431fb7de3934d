import { SpillwayError, messageOf } from "../../../lib/errors";

/** A path to an attribute, outermost first: `["answers", 0, "weight"]`. */
export type Path = readonly (string | number)[];

export interface DiagnosticReport {
  /** @default "error" */
  readonly severity?: "error" | "warning";
  /** One line: what is wrong, with the value received. */
  readonly summary: string;
  /** What to do about it, and whatever else helps. */
  readonly detail?: string;
  /** The attribute it is about. */
  readonly path?: Path;
}

/** An error for the user, tied to an attribute of the configuration where there is one. Throw it from any handler. */
export class Diagnostic extends Error {
  override readonly name = "Diagnostic";

  constructor(
    readonly report: DiagnosticReport,
    options?: { cause?: unknown },
  ) {
    super(report.detail ? `${report.summary}. ${report.detail}` : report.summary, options);
  }
}

/** Several errors at once. Throw it from any handler. */
export class Diagnostics extends Error {
  override readonly name = "Diagnostics";

  constructor(readonly all: readonly (Diagnostic | SpillwayError)[]) {
    super(all.map((one) => one.message).join("\n"));
  }
}

/** A path as a person writes it: `answers[0].weight`, `sites["on-prem"].endpoint`. */
export function formatPath(path: Path): string {
  return path
    .map((step, index) => {
      if (typeof step === "number") return `[${step}]`;
      if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(step)) return `[${JSON.stringify(step)}]`;
      return index === 0 ? step : `.${step}`;
    })
    .join("");
}

/** What anything thrown means to the user. */
export function reportsOf(thrown: unknown): DiagnosticReport[] {
  if (thrown instanceof Diagnostics) return thrown.all.flatMap(reportsOf);
  if (thrown instanceof Diagnostic) return [thrown.report];
  if (thrown instanceof SpillwayError) {
    const { place, problem, mend, attribute } = thrown.report;
    return [{ summary: capitalised(problem), detail: `At ${place}. ${mend}`, path: attribute }];
  }
  return [{ summary: capitalised(messageOf(thrown)) }];
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
