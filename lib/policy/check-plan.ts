import type { BurstManifest, BurstPart } from "../hook/manifest";
import { asArray, asObject, asString } from "../review/json";
import type { PlanModel, ResourceChange } from "../review/model";
import { imageStays } from "./image-stays";
import { capacityOf, type Observation } from "./observation";
import { rps } from "./words";
import type { Desired } from "./state";

/** A plan, and what it is to be judged by. */
export interface PlanCheck {
  readonly plan: PlanModel;
  readonly manifest: Pick<BurstManifest, "addresses" | "onPrem" | "cloud" | "variable">;
  /** What the plan is meant to bring about. */
  readonly wanted: Desired;
  /**
   * Addresses (without index) whose present objects were made with `create_before_destroy`. The plan does not say it of a removal, the
   * state does.
   */
  readonly createBeforeDestroy: ReadonlySet<string>;
  /** The image that the parameters name. @default the stack's own */
  readonly imageDigest?: string | null;
  /** The latest look at the sites; undefined when there is none. */
  readonly observation?: Observation;
}

/** The rules, by name. */
export type SafetyRule =
  | "whole-plan"
  | "own-resources"
  | "on-premises-stays"
  | "record-stays"
  | "no-removal-in-burst"
  | "home-only-removes"
  | "image-stays"
  | "record-first"
  | "guarded-removal"
  | "record-answers"
  | "healthy-capacity";

/** Why a plan must not be applied. */
export interface Refusal {
  readonly address: string;
  readonly action: string;
  readonly rule: SafetyRule;
  /** One sentence. */
  readonly problem: string;
  /** One sentence. */
  readonly mend: string;
}

/** Every reason not to apply the plan; empty if it is safe. */
export function checkPlan(check: PlanCheck): Refusal[] {
  const changes = check.plan.changes.filter(({ action }) => action !== "no-op" && action !== "read");
  return [
    ...wholePlan(check),
    ...changes.flatMap((change) => foreign(check, change)),
    ...changes.flatMap((change) =>
      check.wanted.burst ? removalInBurst(check, change) : changeAtHome(check, change),
    ),
    ...imageStays(check, changes),
    ...recordStays(check),
    ...recordAnswers(check),
    ...(check.wanted.burst ? [] : [...removalOrder(check, changes), ...healthyCapacity(check)]),
  ];
}

const BY_HAND =
  "The hook leaves that to you: run `terraform plan` and `terraform apply` by hand, then it goes on.";

function wholePlan({ plan }: PlanCheck): Refusal[] {
  const refuse = (problem: string): Refusal[] => [
    { address: "the plan", action: "apply", rule: "whole-plan", problem, mend: BY_HAND },
  ];
  if (plan.errored) return refuse("planning failed half way");
  if (!plan.complete)
    return refuse(`the plan is partial; put off: ${plan.deferred.join(", ") || "not said"}`);
  return [];
}

/** Only the burst's own resources may change. */
function foreign(check: PlanCheck, change: ResourceChange): Refusal[] {
  if (kindOf(check, change) !== undefined) return [];
  const refuse = (rule: SafetyRule, problem: string): Refusal[] => [
    { address: change.address, action: change.action, rule, problem, mend: BY_HAND },
  ];
  if (isOnPremPool(check, change)) {
    // A pool that is marked for a new try is repaired by the same plan: nothing a person asked for changes.
    if (change.action === "update" && change.attributes.every(({ path }) => path === "status")) return [];
    return refuse("on-premises-stays", `the on-premises pool would be changed (${change.action})`);
  }
  const { addresses } = check.manifest;
  const { also = {}, ...named } = addresses;
  const own = [...Object.values(named), ...Object.keys(also)].join(", ");
  return refuse(
    "own-resources",
    `only the burst's own resources may change (${own}), and this is none of them`,
  );
}

function removalInBurst(check: PlanCheck, change: ResourceChange): Refusal[] {
  const kind = kindOf(check, change);
  if (kind === undefined || kind === "record" || !removes(change)) return [];
  const refuse = (problem: string, mend: string): Refusal[] => [
    { address: change.address, action: change.action, rule: "no-removal-in-burst", problem, mend },
  ];
  if (kind === "cloud-record") {
    // A cloud that is down is taken out of the answers while the burst stays.
    if (change.deposed || check.wanted.weights[check.manifest.cloud.site] === undefined) return [];
    return refuse("the cloud would no longer be answered with while it is wanted", BY_HAND);
  }
  if (kind === "replica") {
    if (change.deposed || change.createFirst) return [];
    return refuse("the image would leave the cloud while it is wanted there", BY_HAND);
  }
  // An object left over from an earlier replacement is superseded: its gate lets go at once.
  if (kind === "gate" && change.deposed) return [];
  // A pool or gate that broke before users were sent to it may be made anew.
  if ((change.action === "replace" || change.deposed) && !mayHaveUsers(check)) return [];
  return refuse(
    `the cloud's ${kind} would be removed while the burst is wanted`,
    `Change nothing but \`${check.manifest.variable}\` during a burst, or come home first.`,
  );
}

function changeAtHome(check: PlanCheck, change: ResourceChange): Refusal[] {
  const kind = kindOf(check, change);
  if (kind === undefined || kind === "record" || change.action === "delete" || change.action === "forget")
    return [];
  // The image may be kept in place before the next burst.
  if (kind === "replica") return [];
  // What costs nothing stays between bursts, and may say something else then.
  if (isAlso(check, change) && change.action === "update") return [];
  return [
    {
      address: change.address,
      action: change.action,
      rule: "home-only-removes",
      problem: `coming home must only remove the cloud's ${inWords(kind)}, and this plan would ${verb(change)} it`,
      mend: `Make it depend on \`burst\` of \`${check.manifest.variable}\`, as the Burst construct does.`,
    },
  ];
}

function recordStays(check: PlanCheck): Refusal[] {
  const record = recordOf(check);
  const { record: address } = check.manifest.addresses;
  const refuse = (action: string, problem: string, mend: string): Refusal[] => [
    { address, action, rule: "record-stays", problem, mend },
  ];
  if (!record) {
    return refuse(
      "none",
      "the plan does not know the record of this burst",
      "Correct `addresses.record` in the burst's manifest: synthesise again after a change of the program.",
    );
  }
  if (!removes(record)) return [];
  return refuse(
    record.action,
    "the record would be gone, if only for a moment, and every user with it",
    BY_HAND,
  );
}

/** The record must leave the cloud before gate and pool go. */
function removalOrder(check: PlanCheck, changes: readonly ResourceChange[]): Refusal[] {
  const removed = changes.filter((change) => {
    const kind = kindOf(check, change);
    return (kind === "gate" || kind === "pool") && removes(change) && !change.deposed;
  });
  if (removed.length === 0) return [];
  const record = recordOf(check);
  const ofCloud = cloudRecordOf(check);
  const isApart = check.manifest.addresses.cloudRecord !== undefined;
  const changesRecord = isApart
    ? ofCloud?.action === "delete"
    : record !== undefined && record.action !== "no-op";
  const found: Refusal[] = [];
  for (const change of removed) {
    const refuse = (rule: SafetyRule, problem: string, mend: string) =>
      found.push({ address: change.address, action: change.action, rule, problem, mend });
    if (!changesRecord && sendsUsers(check, "before") === true) {
      refuse("record-first", "users are still sent to the cloud, and the plan does not change that", BY_HAND);
    }
    // Where the cloud's answer is a resource of its own, it depends on gate and pool, and so goes before them.
    if (!isApart && changesRecord && !check.createBeforeDestroy.has(change.baseAddress)) {
      refuse(
        "record-first",
        "it would be destroyed before the record leaves the cloud",
        "Give it `lifecycle { create_before_destroy = true }` (the constructs do) and apply once while the burst is on.",
      );
    }
  }
  const guarded = removed.some((change) => kindOf(check, change) === "gate");
  const cloud = check.observation?.cloud;
  const sessions = cloud?.reachable === true && cloud.usersUnknown === undefined ? cloud.sessions : undefined;
  if (!guarded && sessions !== 0) {
    for (const change of removed) {
      found.push({
        address: change.address,
        action: change.action,
        rule: "guarded-removal",
        problem:
          sessions === undefined
            ? "no gate waits for its users, and whether it has any is not known"
            : `no gate waits for its users, and it has ${sessions}`,
        mend: "Wait until its users have left; the hook tries again by itself.",
      });
    }
  }
  return found;
}

function recordAnswers(check: PlanCheck): Refusal[] {
  const record = recordOf(check);
  if (!record || removes(record)) return [];
  if (check.manifest.addresses.cloudRecord !== undefined) return apartAnswers(check, record);
  const answers = answersOf(record.after);
  if (!answers) return [];
  const refuse = (problem: string, mend: string): Refusal[] => [
    { address: record.address, action: record.action, rule: "record-answers", problem, mend },
  ];
  const { onPrem, cloud, variable } = check.manifest;
  if (answers.length === 0) return refuse("the record would answer nothing", BY_HAND);
  if (check.wanted.burst) return [];
  if (answers.includes(cloud.site)) {
    return refuse(
      `the record would still send users to ${cloud.site} after the way home`,
      `Make its answers follow \`weights\` of \`${variable}\`, as the Burst construct does.`,
    );
  }
  if (answers.includes(onPrem.site)) return [];
  return refuse(`the record would not answer with ${onPrem.site}`, BY_HAND);
}

/** The same of answers that are resources of their own. */
function apartAnswers(check: PlanCheck, record: ResourceChange): Refusal[] {
  if (check.wanted.burst) return [];
  const refuse = ({ address, action }: ResourceChange, problem: string, mend: string): Refusal[] => [
    { address, action, rule: "record-answers", problem, mend },
  ];
  const { onPrem, cloud, variable } = check.manifest;
  const ofCloud = cloudRecordOf(check);
  const follow = `Make it follow \`weights\` of \`${variable}\`, as the Burst construct does.`;
  return [
    // Weight 0 would not do: it is answered when all others are unhealthy.
    ...(ofCloud && (ofCloud.after !== undefined || ofCloud.action === "forget")
      ? refuse(ofCloud, `the record would still send users to ${cloud.site} after the way home`, follow)
      : []),
    ...(weightOf(record.after) === 0
      ? refuse(record, `the record would not answer with ${onPrem.site}: its weight would be 0`, follow)
      : []),
  ];
}

/** Of an `aws_route53_record`; undefined when it does not say it. */
function weightOf(value: ResourceChange["after"]): number | undefined {
  const [policy] = asArray(asObject(value)?.weighted_routing_policy ?? []);
  const weight = asObject(policy)?.weight;
  return typeof weight === "number" ? weight : undefined;
}

/** Who stays must be able to carry everybody. */
function healthyCapacity(check: PlanCheck): Refusal[] {
  const record = recordOf(check);
  const ofCloud = cloudRecordOf(check);
  const changes = [record, ofCloud].some((each) => each !== undefined && each.action !== "no-op");
  if (!record || !changes || sendsUsers(check, "before") === false) return [];
  const refuse = (problem: string): Refusal[] => [
    {
      address: record.address,
      action: record.action,
      rule: "healthy-capacity",
      problem,
      mend: "The burst goes on until on-premises can carry all users; the hook tries again by itself.",
    },
  ];
  const { observation } = check;
  if (!observation?.onPrem.reachable) return refuse("whether on-premises can carry all users is not known");
  const capacityRps = capacityOf(observation.onPrem);
  if (observation.onPrem.membersUp > 0 && capacityRps >= observation.demandRps) return [];
  return refuse(
    `demand is ${rps(observation.demandRps)} and on-premises carries ${rps(capacityRps)} with ${observation.onPrem.membersUp} members up`,
  );
}

type Kind = BurstPart | "cloud-record";

function kindOf(check: PlanCheck, change: ResourceChange): Kind | undefined {
  const { addresses } = check.manifest;
  if (addresses.cloudRecord !== undefined && addresses.cloudRecord === change.baseAddress)
    return "cloud-record";
  const kinds = ["replica", "pool", "gate", "record"] as const;
  const named = kinds.find((kind) => addresses[kind] === change.baseAddress);
  if (named !== undefined || !isAlso(check, change)) return named;
  return addresses.also?.[change.baseAddress];
}

/** Is it one of the further resources of the burst? */
function isAlso({ manifest }: PlanCheck, change: ResourceChange): boolean {
  return Object.hasOwn(manifest.addresses.also ?? {}, change.baseAddress);
}

function inWords(kind: Kind): string {
  return kind === "cloud-record" ? "answer" : kind;
}

function recordOf(check: PlanCheck): ResourceChange | undefined {
  const { record } = check.manifest.addresses;
  return check.plan.changes.find((change) => change.baseAddress === record && !change.deposed);
}

/** The cloud's own answer; undefined also when a burst has none apart. */
function cloudRecordOf(check: PlanCheck): ResourceChange | undefined {
  const { cloudRecord } = check.manifest.addresses;
  return cloudRecord === undefined
    ? undefined
    : check.plan.changes.find((change) => change.baseAddress === cloudRecord && !change.deposed);
}

/** Users are sent only to a site whose gate has opened. */
function mayHaveUsers(check: PlanCheck): boolean {
  const gate = check.plan.changes.find(
    (change) => kindOf(check, change) === "gate" && change.before !== undefined,
  );
  return sendsUsers(check, "before") ?? gate !== undefined;
}

/** Undefined: the record does not say it in a way that is understood. */
function sendsUsers(check: PlanCheck, side: "before" | "after"): boolean | undefined {
  const record = recordOf(check);
  if (check.manifest.addresses.cloudRecord !== undefined) return cloudRecordOf(check)?.[side] !== undefined;
  if (!record) return undefined;
  if (record[side] === undefined) return false;
  return answersOf(record[side])?.includes(check.manifest.cloud.site);
}

/** The sites that the record answers with. */
function answersOf(value: ResourceChange["after"]): readonly string[] | undefined {
  const answers = asObject(value)?.answers;
  if (!Array.isArray(answers)) return undefined;
  const sites = asArray(answers).map((answer) => asString(asObject(answer)?.site));
  return sites.every((site) => site !== undefined) ? sites : undefined;
}

function isOnPremPool({ manifest }: PlanCheck, change: ResourceChange): boolean {
  if (change.type !== "spillway_pool") return false;
  const value = asObject(change.before) ?? asObject(change.after);
  return value?.site === manifest.onPrem.site && value.name === manifest.onPrem.pool;
}

function removes(change: ResourceChange): boolean {
  return change.action === "delete" || change.action === "replace" || change.action === "forget";
}

function verb(change: ResourceChange): string {
  return change.action === "no-op" ? "keep" : change.action;
}
