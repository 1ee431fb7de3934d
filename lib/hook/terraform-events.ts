/** One line of Terraform's machine-readable output, as much of it as is used here. */
export interface TerraformEvent {
  /** `apply_start`, `apply_progress`, `apply_complete`, `apply_errored`, `diagnostic`, `change_summary`, `planned_change`, … */
  readonly type: string;
  /** What Terraform prints for it. */
  readonly message: string;
  /** The resource it is about. */
  readonly address?: string;
  /** `create`, `update`, `delete`, `read`. */
  readonly action?: string;
  readonly elapsedSeconds?: number;
  readonly diagnostic?: TerraformDiagnostic;
}

export interface TerraformDiagnostic {
  readonly severity: "error" | "warning";
  readonly summary: string;
  readonly detail: string;
  readonly address?: string;
}

/** Undefined for a line that is none of Terraform's: plugins and wrappers print too. */
export function parseTerraformEvent(line: string): TerraformEvent | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  const entry = record(value);
  if (!entry || typeof entry.type !== "string") return undefined;
  const hook = record(entry.hook);
  const resource = record(hook?.resource) ?? record(record(entry.change)?.resource);
  const address = text(resource?.addr);
  const action = text(hook?.action) ?? text(record(entry.change)?.action);
  const elapsed = hook?.elapsed_seconds;
  const diagnostic = record(entry.diagnostic);
  return {
    type: entry.type,
    message: text(entry["@message"]) ?? "",
    ...(address === undefined ? {} : { address }),
    ...(action === undefined ? {} : { action }),
    ...(typeof elapsed === "number" ? { elapsedSeconds: elapsed } : {}),
    ...(diagnostic ? { diagnostic: diagnosticOf(diagnostic) } : {}),
  };
}

/** The errors among Terraform's diagnostics as one text, or undefined if there is none. */
export function errorsText(diagnostics: readonly TerraformDiagnostic[]): string | undefined {
  const errors = diagnostics.filter(({ severity }) => severity === "error");
  if (errors.length === 0) return undefined;
  return errors
    .map(({ summary, detail, address }) => {
      const where = address === undefined ? "" : ` (${address})`;
      return `${summary}${where}${detail === "" ? "" : `: ${detail.replace(/\s+/g, " ").trim()}`}`;
    })
    .join("; ");
}

function diagnosticOf(value: Record<string, unknown>): TerraformDiagnostic {
  const address = text(value.address);
  return {
    severity: value.severity === "warning" ? "warning" : "error",
    summary: text(value.summary) ?? "",
    detail: text(value.detail) ?? "",
    ...(address === undefined || address === "" ? {} : { address }),
  };
}

function record(value: unknown): Record<string, unknown> | undefined {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
}

function text(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
