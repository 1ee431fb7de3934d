import type { ProblemReport } from "../errors";
import { lineAndColumn, valueOf } from "./json";
import type { JsonNode, JsonObject } from "./json";
import { nearest } from "./nearest";
import type { DesiredParameters } from "./parameters";

/** What must be known of a burst to judge its parameters; a `BurstManifest` is one. */
export interface BurstShape {
  /** The Terraform variable that holds its parameters. */
  readonly variable: string;
  readonly onPrem: { readonly site: string };
  readonly cloud: { readonly site: string };
}

const KEYS = ["burst", "cloud_members", "weights", "image_digest", "reason"] as const;
const DIGEST = /^sha256:[0-9a-f]{64}$/;

/**
 * Reads one burst's parameters from a parsed value. Every problem found goes to `problems`.
 * @returns undefined if there was one
 */
export function checkParameters(
  text: string,
  file: string,
  variable: string,
  node: JsonNode,
  shape: BurstShape | undefined,
  problems: ProblemReport[],
): DesiredParameters | undefined {
  const found = problems.length;
  const report = (at: number, attribute: readonly string[], problem: string, mend: string) =>
    problems.push({
      place: `${file}:${lineAndColumn(text, at)}`,
      problem: `\`${[variable, ...attribute].join(".")}\` ${problem}`,
      mend,
      attribute: [variable, ...attribute],
    });

  if (node.kind !== "object") {
    report(node.start, [], `must be an object, got ${shown(node)}`, `Give it the keys ${KEYS.join(", ")}.`);
    return undefined;
  }
  const members = membersOf(node, (key, at) => report(at, [key], "is given twice", "Keep one of the two."));
  for (const [key, member] of members) {
    if ((KEYS as readonly string[]).includes(key)) continue;
    const meant = nearest(key, KEYS);
    report(
      member.keyStart,
      [key],
      "is not a parameter of a burst",
      meant ? `Did you mean \`${meant}\`?` : `The parameters are ${KEYS.join(", ")}.`,
    );
  }
  const need = (key: "burst" | "cloud_members" | "weights"): JsonNode | undefined => {
    const member = members.get(key);
    if (!member) report(node.start, [key], "is missing", `Add "${key}".`);
    return member?.value;
  };

  const burst = need("burst");
  if (burst && typeof scalar(burst) !== "boolean") {
    report(burst.start, ["burst"], `must be true or false, got ${shown(burst)}`, "Write it without quotes.");
  }
  const cloudMembers = need("cloud_members");
  if (cloudMembers && !isWhole(scalar(cloudMembers), 1)) {
    report(
      cloudMembers.start,
      ["cloud_members"],
      `must be a whole number of at least 1, got ${shown(cloudMembers)}`,
      "To use no cloud, set `burst` to false.",
    );
  }
  const weights = need("weights");
  if (weights) checkWeights(weights, burst && scalar(burst), shape, report);
  const digest = members.get("image_digest")?.value;
  const digestValue = digest ? scalar(digest) : null;
  if (digest && digestValue !== null && !(typeof digestValue === "string" && DIGEST.test(digestValue))) {
    report(
      digest.start,
      ["image_digest"],
      `must be null or sha256: and 64 lower-case hex digits, got ${shown(digest)}`,
      "Use null for the image that the stack declares.",
    );
  }
  const reason = members.get("reason")?.value;
  if (reason && typeof scalar(reason) !== "string") {
    report(
      reason.start,
      ["reason"],
      `must be a text, got ${shown(reason)}`,
      "Say in a few words why it is so.",
    );
  }
  if (problems.length > found) return undefined;
  const value = valueOf(node) as Partial<DesiredParameters>;
  return {
    burst: value.burst === true,
    cloud_members: value.cloud_members ?? 1,
    weights: value.weights ?? {},
    image_digest: value.image_digest ?? null,
    reason: value.reason ?? "",
  };
}

type Report = (at: number, attribute: readonly string[], problem: string, mend: string) => void;

function checkWeights(node: JsonNode, burst: unknown, shape: BurstShape | undefined, report: Report): void {
  if (node.kind !== "object") {
    report(
      node.start,
      ["weights"],
      `must be an object, got ${shown(node)}`,
      "List each site in service with its share of users.",
    );
    return;
  }
  const sites = shape && [shape.onPrem.site, shape.cloud.site];
  const members = membersOf(node, (site, at) =>
    report(at, ["weights", site], "is given twice", "Keep one of the two."),
  );
  let sum = 0;
  let summable = true;
  for (const [site, { keyStart, value }] of members) {
    const weight = scalar(value);
    if (sites && !sites.includes(site)) {
      const meant = nearest(site, sites);
      const known = sites.map((name) => `"${name}"`).join(" and ");
      report(
        keyStart,
        ["weights", site],
        `names a site that the burst does not have; it has ${known}`,
        meant ? `Did you mean "${meant}"?` : "Use one of them.",
      );
    } else if (burst === false && site === shape?.cloud.site) {
      report(
        keyStart,
        ["weights", site],
        "sends users to the cloud while `burst` is false",
        `Set \`burst\` to true, or give all 100 to "${shape.onPrem.site}".`,
      );
    }
    if (weight === 0) {
      report(
        value.start,
        ["weights", site],
        "is 0",
        "To take a site out of service, leave it out of the weights.",
      );
    } else if (!isWhole(weight, 1, 100)) {
      report(
        value.start,
        ["weights", site],
        `must be a whole number from 1 to 100, got ${shown(value)}`,
        "Give the site's share of users in percent.",
      );
    }
    if (typeof weight === "number") sum += weight;
    else summable = false;
  }
  if (summable && sum !== 100) {
    report(
      node.start,
      ["weights"],
      `must add up to 100, got ${sum}`,
      "Share out all 100 among the sites in service.",
    );
  }
}

function membersOf(node: JsonObject, twice: (key: string, at: number) => void) {
  const members = new Map<string, JsonObject["members"][number]>();
  for (const member of node.members) {
    if (members.has(member.key)) twice(member.key, member.keyStart);
    else members.set(member.key, member);
  }
  return members;
}

/** A scalar's value; undefined for objects and arrays. */
function scalar(node: JsonNode): string | number | boolean | null | undefined {
  return node.kind === "scalar" ? node.value : undefined;
}

function shown(node: JsonNode): string {
  if (node.kind !== "scalar") return node.kind === "object" ? "an object" : "an array";
  const text = JSON.stringify(node.value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

function isWhole(value: unknown, least: number, most = Number.MAX_SAFE_INTEGER): boolean {
  return typeof value === "number" && Number.isInteger(value) && value >= least && value <= most;
}
