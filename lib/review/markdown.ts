import { costHeadline, costSection, type CostReport } from "./cost";
import type { JsonValue } from "./json";
import type { AttributeChange, ChangeAction, OutputChange, PlanModel, ResourceChange } from "./model";

export interface MarkdownOptions {
  /** Most characters in the result. GitHub takes 65,536 in a comment. @default 60000 */
  readonly limit?: number;
  /** What the plan costs; said in the verdict and in a section of its own, when anything of it changes. @default - not said */
  readonly cost?: CostReport;
  /** Today, in milliseconds since 1970, to warn of old prices. @default - they are not judged */
  readonly now?: number;
}

/** How much is said of each change. Less and less, until the whole fits. */
interface Detail {
  /** Attributes shown per resource. */
  readonly attributes: number;
  /** Characters shown of a value; 0: names only. */
  readonly valueLength: number;
  /** Resources listed per section; further ones are counted by type. */
  readonly resources: number;
}

const DETAILS: readonly Detail[] = [
  { attributes: Infinity, valueLength: 200, resources: Infinity },
  { attributes: 10, valueLength: 80, resources: Infinity },
  { attributes: 10, valueLength: 0, resources: Infinity },
  { attributes: 0, valueLength: 0, resources: 500 },
  { attributes: 0, valueLength: 0, resources: 100 },
  { attributes: 0, valueLength: 0, resources: 20 },
];

const VERBS: readonly (readonly [ChangeAction, string])[] = [
  ["replace", "replaced"],
  ["delete", "destroyed"],
  ["forget", "forgotten"],
  ["update", "updated"],
  ["create", "created"],
  ["import", "imported"],
  ["move", "moved"],
];

/**
 * A plan as a reviewer wants to read it: the verdict, what is replaced or destroyed and what forces it, updates old -> new, and the
 * rest folded away. The same plan gives the same bytes. Too long a text loses detail everywhere, never its middle.
 */
export function renderMarkdown(model: PlanModel, options: MarkdownOptions = {}): string {
  const limit = options.limit ?? 60_000;
  let text = "";
  for (const detail of DETAILS) {
    text = render(model, detail, options);
    if (text.length <= limit) return text;
  }
  const verdict = `${verdictOf(model, options.cost)}\n`;
  return verdict.length <= limit ? verdict : verdict.slice(0, limit);
}

/** `1 replaced, 2 updated, 3 created` or `no changes`. */
export function summarise(model: PlanModel): string {
  const parts = VERBS.map(([action, verb]) => {
    const count = model.changes.filter((change) => change.action === action).length;
    return count === 0 ? "" : `${count} ${verb}`;
  }).filter((part) => part !== "");
  return parts.length === 0 ? "no changes" : parts.join(", ");
}

function verdictOf(model: PlanModel, cost?: CostReport): string {
  const notes = [
    cost ? costHeadline(cost) : "",
    model.errored ? "planning failed" : "",
    model.complete ? "" : "this plan is partial",
    model.drift.length === 0 ? "" : `${model.drift.length} changed outside Terraform`,
    model.failedChecks.length === 0 ? "" : `${model.failedChecks.length} check(s) failed`,
  ].filter((note) => note !== "");
  const summary = summarise(model);
  const head = summary === "no changes" && model.outputs.length > 0 ? "no changes but to outputs" : summary;
  return `**${[capital(head), ...notes].join("; ")}.**`;
}

function render(model: PlanModel, detail: Detail, { cost, now }: MarkdownOptions): string {
  const by = (...actions: readonly ChangeAction[]) =>
    model.changes.filter((change) => actions.includes(change.action));
  const sections = [
    verdictOf(model, cost),
    section("Replaced and destroyed", by("replace", "delete", "forget"), detail, removalLine),
    section("Updated", by("update"), detail, plainLine),
    outputsSection(model.outputs, detail),
    folded("created", by("create"), detail),
    folded("imported or moved", by("import", "move"), detail),
    cost
      ? costSection(cost, code, { lines: detail.resources, ...(now === undefined ? {} : { now }) }).join("\n")
      : "",
    section("Changed outside Terraform", model.drift, detail, plainLine),
    listSection(
      "Failed checks",
      model.failedChecks.map(
        (check) =>
          `- ${code(check.address)}: ${check.status}${check.messages.map((m) => ` ${inline(m, 300)}`).join("")}`,
      ),
      detail,
    ),
    listSection(
      "Put off to a later plan",
      model.deferred.map((line) => `- ${code(line)}`),
      detail,
    ),
  ];
  return `${sections.filter((part) => part !== "").join("\n\n")}\n`;
}

function section(
  title: string,
  changes: readonly ResourceChange[],
  detail: Detail,
  line: (change: ResourceChange) => string,
): string {
  if (changes.length === 0) return "";
  const shown = changes.slice(0, detail.resources);
  const lines = shown.flatMap((change) => [line(change), ...attributeLines(change, detail)]);
  return [`### ${title}`, "", ...lines, ...remainder(changes.slice(shown.length))].join("\n");
}

function folded(what: string, changes: readonly ResourceChange[], detail: Detail): string {
  if (changes.length === 0) return "";
  const shown = changes.slice(0, detail.resources);
  return [
    `<details><summary>${changes.length} ${what}</summary>`,
    "",
    ...shown.map((change) => {
      const from = change.previousAddress ?? change.importId;
      return from === undefined
        ? `- ${code(change.address)}`
        : `- ${code(change.address)} from ${code(from)}`;
    }),
    ...remainder(changes.slice(shown.length)),
    "",
    "</details>",
  ].join("\n");
}

function listSection(title: string, lines: readonly string[], detail: Detail): string {
  if (lines.length === 0) return "";
  const shown = lines.slice(0, detail.resources);
  const left = lines.length - shown.length;
  return [`### ${title}`, "", ...shown, ...(left > 0 ? [`- and ${left} more`] : [])].join("\n");
}

function outputsSection(outputs: readonly OutputChange[], detail: Detail): string {
  const lines = outputs.map((output) => {
    if (detail.valueLength === 0) return `- ${code(output.name)}`;
    return `- ${code(output.name)}: ${sidesText(output, detail.valueLength)}`;
  });
  return listSection("Outputs", lines, detail);
}

function removalLine(change: ResourceChange): string {
  const deposed = change.deposed ? " (left over from an earlier replacement)" : "";
  if (change.action === "delete") return `- ${code(change.address)} **destroyed**${deposed}${why(change)}`;
  if (change.action === "forget") return `- ${code(change.address)} leaves Terraform, but is not destroyed`;
  const order = change.createFirst ? "the new one first" : "the old one first";
  const forced =
    change.forcedBy.length > 0 ? `, forced by ${change.forcedBy.map(code).join(", ")}` : why(change);
  return `- ${code(change.address)} **replaced** (${order})${forced}`;
}

function plainLine(change: ResourceChange): string {
  return change.action === "delete" ? `- ${code(change.address)} is gone` : `- ${code(change.address)}`;
}

const REASONS: Readonly<Record<string, string>> = {
  replace_because_tainted: "it is tainted",
  replace_because_cannot_update: "it cannot be updated",
  replace_by_request: "that was asked for",
  replace_by_triggers: "a trigger changed",
  delete_because_no_resource_config: "the program no longer has it",
  delete_because_wrong_repetition: "its repetition changed",
  delete_because_count_index: "the count no longer reaches it",
  delete_because_each_key: "its key is gone",
  delete_because_no_module: "its module is gone",
  delete_because_no_move_target: "it was moved to nowhere",
};

function why(change: ResourceChange): string {
  const reason = change.actionReason === undefined ? undefined : REASONS[change.actionReason];
  return reason === undefined ? "" : `: ${reason}`;
}

function attributeLines(change: ResourceChange, detail: Detail): string[] {
  if (change.action === "delete" || change.action === "forget" || detail.attributes === 0) return [];
  // A value that is only worked out anew says nothing; one that forces a replacement always does.
  const telling = change.attributes.filter(
    (attribute) => !(attribute.afterUnknown && attribute.after === undefined) || isForcing(change, attribute),
  );
  const ordered = [
    ...telling.filter((attribute) => isForcing(change, attribute)),
    ...telling.filter((attribute) => !isForcing(change, attribute)),
  ];
  const shown = ordered.slice(0, detail.attributes);
  if (detail.valueLength === 0) {
    return shown.length === 0 ? [] : [`  - ${shown.map((attribute) => code(attribute.path)).join(", ")}`];
  }
  const left = ordered.length - shown.length;
  return [
    ...shown.map((attribute) => `  - ${code(attribute.path)}: ${sidesText(attribute, detail.valueLength)}`),
    ...(left > 0 ? [`  - and ${left} more`] : []),
  ];
}

function isForcing(change: ResourceChange, attribute: AttributeChange): boolean {
  return change.forcedBy.some(
    (path) =>
      attribute.path === path ||
      attribute.path.startsWith(`${path}.`) ||
      attribute.path.startsWith(`${path}[`),
  );
}

function sidesText(
  sides: {
    readonly before?: JsonValue;
    readonly after?: JsonValue;
    readonly afterUnknown: boolean;
    readonly sensitive: boolean;
  },
  length: number,
): string {
  const after =
    sides.afterUnknown && sides.after === undefined ? "known after apply" : valueText(sides.after, length);
  const before = valueText(sides.before, length);
  // Both sides are masked, and all that may be said is that they differ.
  return sides.sensitive && before === after ? `${before} changed` : `${before} → ${after}`;
}

function valueText(value: JsonValue | undefined, length: number): string {
  return value === undefined ? "none" : inline(JSON.stringify(value), length);
}

function inline(text: string, length: number): string {
  return code(text.length <= length ? text : `${text.slice(0, length)}… (${text.length} characters)`);
}

/** A code span that its own text cannot end, on one line, with no HTML read in it. */
function code(text: string): string {
  const line = text.replace(/\s+/g, " ");
  const longest = Math.max(0, ...(line.match(/`+/g) ?? []).map((run) => run.length));
  const fence = "`".repeat(longest + 1);
  const pad = line.startsWith("`") || line.endsWith("`") ? " " : "";
  return `${fence}${pad}${line}${pad}${fence}`;
}

function remainder(changes: readonly ResourceChange[]): string[] {
  if (changes.length === 0) return [];
  const counts = new Map<string, number>();
  for (const { type } of changes) counts.set(type, (counts.get(type) ?? 0) + 1);
  const types = [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
  const named = types.slice(0, 40).map(([type, count]) => `${count} ${code(type)}`);
  return [`- and ${changes.length} more: ${named.join(", ")}${types.length > 40 ? ", …" : ""}`];
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
