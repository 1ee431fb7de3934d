import type { JsonObject, JsonValue } from "./json";

/**
 * A Terraform plan as a person (or a safety rule) judges it. Every value in it is fit to be shown: what the plan masks is masked,
 * and so is every string that equals a masked one elsewhere.
 */
export interface PlanModel {
  /** Of the plan's JSON: `1.2`. */
  readonly formatVersion: string;
  readonly terraformVersion: string;
  /** False when Terraform says that another plan must follow this one, or when planning was cut short. */
  readonly complete: boolean;
  readonly errored: boolean;
  /** Every resource in the plan, the untouched (`no-op`) too, by address. */
  readonly changes: readonly ResourceChange[];
  /** What was found changed outside Terraform. */
  readonly drift: readonly ResourceChange[];
  readonly outputs: readonly OutputChange[];
  /** Changes that Terraform put off to a later plan, as `address: reason`. */
  readonly deferred: readonly string[];
  readonly failedChecks: readonly FailedCheck[];
  /** How the resources belong together. @default - not known */
  readonly context?: PlanContext;
}

/** What the plan says besides its changes: needed to join resources whose ids are known only after apply. */
export interface PlanContext {
  /** Of the configuration, by resource address without instance keys. */
  readonly configured: Readonly<Record<string, ConfiguredResource>>;
  /** By provider key, what is known of the provider's own settings: `region`. */
  readonly providers: Readonly<Record<string, { readonly region?: string }>>;
  /** Resources of the state that are in no change: data sources, and what `-target` left out. */
  readonly standing: readonly StandingResource[];
}

export interface ConfiguredResource {
  /** `aws`, `aws.frankfurt`, `module.shop:aws`. */
  readonly provider: string;
  /** By attribute path without list indices (`launch_template.id`): what its expression refers to, as Terraform says it. Constants: none. */
  readonly references: Readonly<Record<string, readonly string[]>>;
}

export interface StandingResource {
  readonly address: string;
  readonly baseAddress: string;
  readonly mode: "managed" | "data";
  readonly type: string;
  readonly values: JsonObject;
}

export type ChangeAction =
  "no-op" | "create" | "read" | "update" | "replace" | "delete" | "forget" | "move" | "import";

export interface ResourceChange {
  readonly address: string;
  /** The address without instance key: `spillway_pool.cloud` of `spillway_pool.cloud[0]`. */
  readonly baseAddress: string;
  readonly mode: "managed" | "data";
  readonly type: string;
  readonly name: string;
  readonly action: ChangeAction;
  /** Of a replacement: does the new one come before the old one goes (`create_before_destroy`)? */
  readonly createFirst: boolean;
  /** An object left over from an earlier replacement, not the present one. */
  readonly deposed: boolean;
  /** Terraform's own word for why (`replace_because_tainted`), if it gave one. */
  readonly actionReason?: string;
  /** Changed attributes that force a replacement. */
  readonly forcedBy: readonly string[];
  readonly attributes: readonly AttributeChange[];
  readonly previousAddress?: string;
  readonly importId?: string;
  /** Undefined: there is none. */
  readonly before?: JsonValue;
  /** Undefined: there will be none. What is known only after apply is missing in it. */
  readonly after?: JsonValue;
}

export interface AttributeChange {
  /** `settings.mode`, `answers[1].weight`. */
  readonly path: string;
  /** Undefined: not there. */
  readonly before?: JsonValue;
  readonly after?: JsonValue;
  readonly afterUnknown: boolean;
  readonly sensitive: boolean;
}

export interface OutputChange {
  readonly name: string;
  readonly action: "create" | "update" | "delete" | "replace";
  readonly before?: JsonValue;
  readonly after?: JsonValue;
  readonly afterUnknown: boolean;
  readonly sensitive: boolean;
}

export interface FailedCheck {
  readonly address: string;
  /** `fail`, `error` or `unknown`. */
  readonly status: string;
  readonly messages: readonly string[];
}

/** What stands for a masked value. */
export const SENSITIVE = "(sensitive)";
