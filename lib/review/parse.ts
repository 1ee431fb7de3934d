import { SpillwayError, messageOf } from "../errors";
import { planContext } from "./context";
import { diff } from "./diff";
import { asArray, asObject, asString, type JsonObject, type JsonValue } from "./json";
import type {
  AttributeChange,
  ChangeAction,
  FailedCheck,
  OutputChange,
  PlanModel,
  ResourceChange,
} from "./model";
import { applyMask, Redactor, secretsOf } from "./secrets";

/**
 * Reads what `terraform show -json PLANFILE` prints (format 1.x; unknown fields are ignored). The plan's `variables` are dropped:
 * Terraform prints sensitive ones in clear.
 * @throws SpillwayError if it is no JSON, no plan, or of another major version
 */
export function parsePlan(json: string | JsonObject): PlanModel {
  const plan = typeof json === "string" ? parseText(json) : json;
  const formatVersion = asString(plan.format_version);
  if (formatVersion === undefined || !("resource_changes" in plan || "planned_values" in plan)) {
    throw notAPlan("it has no `format_version` or no changes");
  }
  if (!/^1\./.test(formatVersion)) {
    throw new SpillwayError({
      place: "plan JSON",
      problem: `the plan has format version "${formatVersion}", and only 1.x is understood`,
      mend: "Use a Terraform or OpenTofu version that this Spillway knows, or a newer Spillway.",
    });
  }
  const redactor = new Redactor(secretsOf(plan));
  const deferred = asArray(plan.deferred_changes).map((entry) => {
    const object = asObject(entry);
    const address = asString(asObject(object?.resource_change)?.address) ?? "unknown address";
    return redactor.text(`${address}: ${asString(object?.reason) ?? "no reason given"}`);
  });
  return {
    formatVersion,
    terraformVersion: asString(plan.terraform_version) ?? "unknown",
    complete: plan.complete !== false && deferred.length === 0,
    errored: plan.errored === true,
    changes: resourceChanges(plan.resource_changes, redactor),
    drift: resourceChanges(plan.resource_drift, redactor),
    outputs: outputChanges(plan.output_changes, redactor),
    deferred,
    failedChecks: failedChecks(plan.checks, redactor),
    context: planContext(plan, redactor),
  };
}

function parseText(text: string): JsonObject {
  let value: JsonValue;
  try {
    value = JSON.parse(text) as JsonValue;
  } catch (error) {
    throw notAPlan(messageOf(error));
  }
  const object = asObject(value);
  if (!object) throw notAPlan("it is no JSON object");
  return object;
}

function notAPlan(why: string): SpillwayError {
  return new SpillwayError({
    place: "plan JSON",
    problem: `this is not the JSON of a Terraform plan: ${why}`,
    mend: "Make it with `terraform plan -out=FILE` and `terraform show -json FILE`.",
  });
}

function resourceChanges(list: JsonValue | undefined, redactor: Redactor): ResourceChange[] {
  return asArray(list)
    .map((entry) => resourceChange(asObject(entry) ?? {}, redactor))
    .sort((a, b) => compare(a.address, b.address) || Number(a.deposed) - Number(b.deposed));
}

function resourceChange(entry: JsonObject, redactor: Redactor): ResourceChange {
  const change = asObject(entry.change) ?? {};
  const actions = asArray(change.actions).map(String);
  const address = asString(entry.address) ?? "unknown address";
  const previousAddress = asString(entry.previous_address);
  const importId = asString(asObject(change.importing)?.id);
  const sides = {
    before: presence(change.before),
    after: presence(change.after),
    unknown: change.after_unknown,
    beforeMask: change.before_sensitive,
    afterMask: change.after_sensitive,
  };
  const attributes = diff(sides, redactor);
  const actionReason = asString(entry.action_reason);
  return {
    address: redactor.text(address),
    baseAddress: withoutKey(address, entry),
    mode: entry.mode === "data" ? "data" : "managed",
    type: asString(entry.type) ?? "unknown",
    name: asString(entry.name) ?? "unknown",
    action: actionOf(actions, previousAddress, importId),
    createFirst: actions[0] === "create" && actions.length > 1,
    deposed: asString(entry.deposed) !== undefined,
    ...(actionReason === undefined ? {} : { actionReason }),
    forcedBy: forcedBy(change, attributes),
    attributes,
    ...(previousAddress === undefined ? {} : { previousAddress }),
    ...(importId === undefined ? {} : { importId: redactor.text(importId) }),
    ...(sides.before === undefined
      ? {}
      : { before: redactor.value(applyMask(sides.before, sides.beforeMask)) }),
    ...(sides.after === undefined ? {} : { after: redactor.value(applyMask(sides.after, sides.afterMask)) }),
  };
}

function actionOf(
  actions: readonly string[],
  previousAddress: string | undefined,
  importId: string | undefined,
): ChangeAction {
  const has = (action: string) => actions.includes(action);
  if (has("delete") && has("create")) return "replace";
  if (has("delete")) return "delete";
  if (has("forget")) return has("create") ? "replace" : "forget";
  if (has("create")) return "create";
  if (has("update")) return "update";
  if (has("read")) return "read";
  if (importId !== undefined) return "import";
  return previousAddress === undefined ? "no-op" : "move";
}

/** `replace_paths` may name attributes that did not change: those force nothing. */
function forcedBy(change: JsonObject, attributes: readonly AttributeChange[]): string[] {
  const paths = asArray(change.replace_paths).map((path) =>
    asArray(path).reduce<string>(
      (text, step) =>
        typeof step === "number"
          ? `${text}[${step}]`
          : text === ""
            ? String(step)
            : `${text}.${String(step)}`,
      "",
    ),
  );
  const changed = (path: string) =>
    attributes.some(
      (attribute) =>
        attribute.path === path ||
        attribute.path.startsWith(`${path}.`) ||
        attribute.path.startsWith(`${path}[`) ||
        path.startsWith(`${attribute.path}.`),
    );
  return [...new Set(paths.filter(changed))].sort(compare);
}

function withoutKey(address: string, entry: JsonObject): string {
  const { index } = entry;
  if (typeof index !== "number" && typeof index !== "string") return address;
  const key = `[${JSON.stringify(index)}]`;
  return address.endsWith(key) ? address.slice(0, -key.length) : address.replace(/\[[^\]]*\]$/, "");
}

function outputChanges(list: JsonValue | undefined, redactor: Redactor): OutputChange[] {
  const found: OutputChange[] = [];
  for (const [name, entry] of Object.entries(asObject(list) ?? {})) {
    const change = asObject(entry) ?? {};
    const actions = asArray(change.actions).map(String);
    if (actions.every((action) => action === "no-op")) continue;
    const sensitive = change.before_sensitive === true || change.after_sensitive === true;
    const before = presence(change.before);
    const after = presence(change.after);
    const afterUnknown = change.after_unknown === true;
    found.push({
      name,
      action: actions.length > 1 ? "replace" : (actions[0] as OutputChange["action"]),
      ...(before === undefined
        ? {}
        : { before: redactor.value(applyMask(before, sensitive || change.before_sensitive)) }),
      ...(after === undefined || afterUnknown
        ? {}
        : { after: redactor.value(applyMask(after, sensitive || change.after_sensitive)) }),
      afterUnknown,
      sensitive,
    });
  }
  return found.sort((a, b) => compare(a.name, b.name));
}

function failedChecks(list: JsonValue | undefined, redactor: Redactor): FailedCheck[] {
  const found: FailedCheck[] = [];
  for (const entry of asArray(list)) {
    const check = asObject(entry) ?? {};
    const status = asString(check.status) ?? "unknown";
    if (status === "pass" || status === "unknown") continue;
    const messages = asArray(check.instances).flatMap((instance) =>
      asArray(asObject(instance)?.problems).map((problem) =>
        redactor.text(asString(asObject(problem)?.message) ?? ""),
      ),
    );
    found.push({
      address: asString(asObject(check.address)?.to_display) ?? "unknown check",
      status,
      messages: messages.filter((message) => message !== ""),
    });
  }
  return found.sort((a, b) => compare(a.address, b.address));
}

function presence(value: JsonValue | undefined): JsonValue | undefined {
  return value === null ? undefined : value;
}

/** By code unit, never by locale: the same plan must give the same bytes everywhere. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** True when applying the plan would do anything to any resource. */
export function changesAnything(model: PlanModel): boolean {
  return model.changes.some((change) => change.action !== "no-op" && change.action !== "read");
}
