import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { SpillwayError, messageOf, throwProblems, type ProblemReport } from "../errors";
import { policyProblems, prePositionProblems } from "../policy";
import { asObject, type JsonObject, type JsonValue } from "../review/json";
import { observerProblems, withAbsoluteObservers } from "./manifest-observers";
import { platformProblems } from "./manifest-platform";
import type { BurstManifest, SiteEndpoint } from "./manifest";

/** A burst, and the folders it lives in. */
export interface LoadedManifest {
  /** Paths in it (token and authority files) are absolute. */
  readonly manifest: BurstManifest;
  readonly directories: HookDirectories;
}

export interface HookDirectories {
  /** Where `cdktf.json` (or `spillway.json`) is; `parametersFile` is relative to it. */
  readonly project: string;
  /** Where Terraform runs. */
  readonly stack: string;
  /** Variable files of other bursts in the same stack: without them a plan would take those home. @default - none */
  readonly otherVariableFiles?: readonly string[];
}

export interface LoadOptions {
  /** Which burst, if there are several. */
  readonly burst?: string;
  /** Which stack, if the burst is in several. */
  readonly stack?: string;
}

interface Candidate {
  readonly name: string;
  readonly file: string;
  readonly stack: string;
  readonly stackDirectory: string;
  readonly value: JsonValue;
}

/**
 * Finds what the hook must know of a burst: in `spillway.json` of a plain HCL project, or in the synthesised stacks of a CDKTF one
 * (`cdk.tf.json` of each, under `"//".spillway.bursts`).
 * @throws SpillwayError when there is none, or several to choose from; SpillwayErrors with all that is wrong in it
 */
export function loadManifest(directory: string, options: LoadOptions = {}): LoadedManifest {
  const project = resolve(directory);
  const all = candidates(project);
  const fitting = all.filter(
    (candidate) =>
      (options.burst === undefined || candidate.name === options.burst) &&
      (options.stack === undefined || candidate.stack === options.stack),
  );
  const [first, ...others] = fitting;
  if (!first) throw notFound(project, all, options);
  if (others.length > 0) throw ambiguous(project, fitting);
  return loaded(first, all, project);
}

/**
 * Every burst declared in a folder; see {@link loadManifest}.
 * @throws SpillwayError when there is none; SpillwayErrors with all that is wrong in one
 */
export function loadManifests(directory: string): readonly LoadedManifest[] {
  const project = resolve(directory);
  const all = candidates(project);
  if (all.length === 0) throw notFound(project, all, {});
  return all.map((candidate) => loaded(candidate, all, project));
}

function loaded(candidate: Candidate, all: readonly Candidate[], project: string): LoadedManifest {
  const problems: ProblemReport[] = [];
  const manifest = asManifest(candidate.value, `${candidate.file} (burst ${candidate.name})`, problems);
  throwProblems(problems);
  const others = all
    .filter((other) => other !== candidate && other.stack === candidate.stack)
    .map((other) => asObject(other.value)?.parametersFile)
    .filter((file) => typeof file === "string" && file !== (manifest as BurstManifest).parametersFile)
    .map((file) => (isAbsolute(String(file)) ? String(file) : join(project, String(file))));
  return {
    manifest: withAbsolutePaths({ ...(manifest as BurstManifest), name: candidate.name }, project),
    directories: {
      project,
      stack: candidate.stackDirectory,
      ...(others.length === 0 ? {} : { otherVariableFiles: [...new Set(others)] }),
    },
  };
}

function candidates(project: string): Candidate[] {
  const plain = join(project, "spillway.json");
  const found: Candidate[] = [];
  if (existsSync(plain)) found.push(...burstsIn(plain, asObject(readJson(plain))?.bursts, ".", project));
  const stacks = join(project, outputFolder(project), "stacks");
  if (existsSync(stacks)) {
    for (const stack of readdirSync(stacks).sort()) {
      const file = join(stacks, stack, "cdk.tf.json");
      if (!existsSync(file) || !statSync(file).isFile()) continue;
      const comment = asObject(asObject(readJson(file))?.["//"]);
      found.push(...burstsIn(file, asObject(comment?.spillway)?.bursts, stack, join(stacks, stack)));
    }
  }
  return found;
}

/** `cdktf.json` may name another folder than `cdktf.out`. */
function outputFolder(project: string): string {
  const file = join(project, "cdktf.json");
  const output = existsSync(file) ? asObject(readJson(file))?.output : undefined;
  return typeof output === "string" && output !== "" ? output : "cdktf.out";
}

function burstsIn(
  file: string,
  bursts: JsonValue | undefined,
  stack: string,
  stackDirectory: string,
): Candidate[] {
  return Object.entries(asObject(bursts) ?? {}).map(([name, value]) => ({
    name,
    file,
    stack,
    stackDirectory,
    value,
  }));
}

function readJson(file: string): JsonValue {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as JsonValue;
  } catch (error) {
    throw new SpillwayError({
      place: file,
      problem: `it cannot be read as JSON: ${messageOf(error)}`,
      mend: dirname(file).includes("stacks") ? "Synthesise again." : "Mend the file.",
    });
  }
}

function notFound(project: string, all: readonly Candidate[], options: LoadOptions): SpillwayError {
  const names = all.map(({ name, stack }) => `"${name}" in stack "${stack}"`).join(", ");
  const wanted = [
    options.burst === undefined ? "" : `burst "${options.burst}"`,
    options.stack === undefined ? "" : `stack "${options.stack}"`,
  ].filter((part) => part !== "");
  return new SpillwayError({
    place: project,
    problem:
      all.length === 0
        ? "no burst is declared here: neither spillway.json nor a synthesised stack with a Burst was found"
        : `there is no ${wanted.join(" in ")}; there is ${names}`,
    mend:
      all.length === 0
        ? "Synthesise the program first (`npx cdktf synth`, or run it), or give the folder of its cdktf.json; `spillway init` makes a new one."
        : "Use one of these names.",
  });
}

function ambiguous(project: string, found: readonly Candidate[]): SpillwayError {
  return new SpillwayError({
    place: project,
    problem: `there are ${found.length} bursts to choose from: ${found.map(({ name, stack }) => `"${name}" in stack "${stack}"`).join(", ")}`,
    mend: "Say which one, by burst (and stack).",
  });
}

type Shape = { readonly [key: string]: "string" | "number" | Shape };

const SIDE: Shape = { site: "string", pool: "string", memberCapacityRps: "number", members: "number" };
const SHAPE: Shape = {
  version: "number",
  variable: "string",
  parametersFile: "string",
  onPrem: SIDE,
  cloud: SIDE,
  record: { name: "string", ttlSeconds: "number" },
  addresses: { replica: "string", pool: "string", gate: "string", record: "string" },
  policy: {
    burstAbove: "number",
    homeBelow: "number",
    confirmations: "number",
    homeAfterMs: "number",
    minimumStayMs: "number",
    targetUtilisation: "number",
    minCloudMembers: "number",
    maxCloudMembers: "number",
    launchEstimateMs: "number",
    intervalMs: "number",
  },
};
const MEND = "Synthesise again with this version of Spillway, or correct it in `spillway.json`.";

function asManifest(value: JsonValue, place: string, problems: ProblemReport[]): BurstManifest | undefined {
  const object = asObject(value);
  if (!object) {
    problems.push({
      place,
      problem: `the burst must be an object, got ${JSON.stringify(value)}`,
      mend: MEND,
    });
    return undefined;
  }
  if (object.version !== undefined && object.version !== 1) {
    problems.push({
      place,
      problem: `the manifest has version ${JSON.stringify(object.version)}, and only 1 is understood`,
      mend: "Use the version of Spillway that synthesised it.",
      attribute: ["version"],
    });
    return undefined;
  }
  checkShape(object, SHAPE, [], place, problems);
  problems.push(...platformProblems(object, place));
  checkSites(object, place, problems);
  if (problems.length > 0) return undefined;
  const manifest = object as unknown as BurstManifest;
  for (const key of ["onPrem", "cloud"] as const) {
    if (manifest[key].memberCapacityRps > 0) continue;
    problems.push({
      place,
      problem: `\`${key}.memberCapacityRps\` must be above 0, got ${manifest[key].memberCapacityRps}`,
      mend: "Give the requests per second that one member carries at a good latency.",
      attribute: [key, "memberCapacityRps"],
    });
  }
  problems.push(...policyProblems(manifest.policy, place));
  problems.push(...observerProblems(object.observers, place));
  const { prePosition } = manifest;
  if (prePosition !== undefined && !asObject(object.prePosition)) {
    problems.push({
      place,
      problem: `\`prePosition\` must be an object, got ${JSON.stringify(prePosition)}`,
      mend: MEND,
      attribute: ["prePosition"],
    });
  } else if (prePosition) {
    problems.push(...prePositionProblems(prePosition).map((problem) => ({ place, ...problem })));
  }
  return manifest;
}

function checkShape(
  value: JsonObject,
  shape: Shape,
  path: readonly string[],
  place: string,
  problems: ProblemReport[],
): void {
  for (const [key, wanted] of Object.entries(shape)) {
    const attribute = [...path, key];
    const inner = value[key];
    const nested = asObject(inner);
    if (typeof wanted === "object" && nested) {
      checkShape(nested, wanted, attribute, place, problems);
    } else if (typeof wanted === "object" || typeof inner !== wanted || inner === "") {
      problems.push({
        place,
        problem: `\`${attribute.join(".")}\` must be ${typeof wanted === "object" ? "an object" : `a ${wanted}`}, got ${JSON.stringify(inner) ?? "nothing"}`,
        mend: MEND,
        attribute,
      });
    }
  }
}

function checkSites(value: JsonObject, place: string, problems: ProblemReport[]): void {
  const sites = asObject(value.sites) ?? {};
  const used = {
    "onPrem.site": asObject(value.onPrem)?.site,
    // A platform is no site.
    ...(value.platform === undefined ? { "cloud.site": asObject(value.cloud)?.site } : {}),
    "record.nameServerSite": asObject(value.record)?.nameServerSite,
  };
  for (const [attribute, site] of Object.entries(used)) {
    if (typeof site !== "string" || typeof asObject(sites[site])?.endpoint === "string") continue;
    const known = Object.keys(sites).map((name) => `"${name}"`);
    problems.push({
      place,
      problem: `\`${attribute}\` is "${site}", for which \`sites\` has no endpoint; known sites: ${known.join(", ") || "none"}`,
      mend: "Configure that site in the provider of the stack, and synthesise again.",
      attribute: attribute.split("."),
    });
  }
}

function withAbsolutePaths(manifest: BurstManifest, project: string): BurstManifest {
  const absolute = (path: string) => (isAbsolute(path) ? path : join(project, path));
  const sites = Object.entries(manifest.sites).map(([name, site]): [string, SiteEndpoint] => [
    name,
    {
      ...site,
      ...(site.tokenFile === undefined ? {} : { tokenFile: absolute(site.tokenFile) }),
      ...(site.caFile === undefined ? {} : { caFile: absolute(site.caFile) }),
    },
  ]);
  const { prePosition } = manifest;
  return {
    ...manifest,
    sites: Object.fromEntries(sites),
    ...(manifest.observers ? { observers: withAbsoluteObservers(manifest.observers, absolute) } : {}),
    ...(prePosition ? { prePosition: { ...prePosition, source: absolute(prePosition.source) } } : {}),
  };
}
