import type { ProblemReport } from "../errors";
import { asObject, type JsonObject, type JsonValue } from "../review/json";

const NAMES = [
  "region",
  "autoScalingGroup",
  "targetGroup",
  "loadBalancer",
  "homeIdentifier",
  "cloudIdentifier",
] as const;
const PARTS = ["replica", "pool", "gate", "record"];

/** What is wrong with what a manifest says of a cloud without an agent, and of the resources that go with it. Pure. */
export function platformProblems(manifest: JsonObject, place: string): readonly ProblemReport[] {
  const problems: ProblemReport[] = [];
  const add = (attribute: readonly string[], must: string, got: JsonValue | undefined) =>
    problems.push({
      place,
      problem: `\`${attribute.join(".")}\` must be ${must}, got ${JSON.stringify(got) ?? "nothing"}`,
      mend: "Synthesise again with this version of Spillway, or correct it in `spillway.json`; see docs/aws-gate.md.",
      attribute,
    });
  const isText = (value: JsonValue | undefined) => typeof value === "string" && value.trim() !== "";
  const { platform } = manifest;
  const given = asObject(platform);
  if (platform !== undefined) {
    if (!given) add(["platform"], "an object", platform);
    else if (given.kind !== "aws") add(["platform", "kind"], '"aws"', given.kind);
    for (const name of given ? NAMES : []) {
      if (!isText(given?.[name])) add(["platform", name], "a text", given?.[name]);
    }
    if (given?.zone !== undefined && !isText(given.zone)) add(["platform", "zone"], "a text", given.zone);
  }
  const record = asObject(manifest.record);
  if (record && record.nameServerSite === undefined && given === undefined)
    add(["record", "nameServerSite"], "a string", record.nameServerSite);
  else if (record?.nameServerSite !== undefined && typeof record.nameServerSite !== "string")
    add(["record", "nameServerSite"], "a string", record.nameServerSite);
  const addresses = asObject(manifest.addresses);
  if (addresses?.cloudRecord !== undefined && !isText(addresses.cloudRecord))
    add(["addresses", "cloudRecord"], "a resource's address", addresses.cloudRecord);
  if (addresses?.also !== undefined) {
    const also = asObject(addresses.also);
    if (!also) add(["addresses", "also"], "an object", addresses.also);
    for (const [address, part] of Object.entries(also ?? {})) {
      if (!PARTS.some((each) => each === part))
        add(["addresses", "also", address], `one of ${PARTS.join(", ")}`, part);
    }
  }
  if (given && manifest.prePosition !== undefined) {
    problems.push({
      place,
      problem: "`prePosition` needs an agent at the cloud, and the cloud is a platform without one",
      mend: "Keep the snapshot there between bursts instead (`preposition: true`), and leave `prePosition` out.",
      attribute: ["prePosition"],
    });
  }
  return problems;
}
