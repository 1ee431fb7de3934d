import type { Activity, AutoScalingGroup } from "@aws-sdk/client-auto-scaling";
import type { TargetHealthDescription } from "@aws-sdk/client-elastic-load-balancing-v2";
import type { SeenAvailability, SeenMember } from "../../../lib/observers";

const STATES: Readonly<Record<string, SeenMember["state"]>> = {
  healthy: "up",
  initial: "coming",
  draining: "leaving",
  "unhealthy.draining": "leaving",
};

/** A target as a member. Health checks that are off tell of no health. Pure. */
export function memberOf({ Target, TargetHealth }: TargetHealthDescription): SeenMember {
  const { State = "unknown", Reason, Description } = TargetHealth ?? {};
  const state = STATES[State] ?? "down";
  const why = [State, Description ?? Reason].filter((part) => part !== undefined && part !== "").join(": ");
  const id = Target?.Port === undefined ? (Target?.Id ?? "?") : `${Target.Id}:${Target.Port}`;
  return { id, state, ...(state === "up" ? {} : { reason: why }) };
}

/** The targets, and the group's instances that are no targets yet (or no longer). Pure. */
export function availability(
  targets: readonly TargetHealthDescription[],
  group: Pick<AutoScalingGroup, "DesiredCapacity" | "Instances"> | undefined,
  problem?: string,
): SeenAvailability {
  const registered = new Set(targets.map(({ Target }) => Target?.Id));
  const waiting = (group?.Instances ?? [])
    .filter(({ InstanceId }) => !registered.has(InstanceId))
    .map(({ InstanceId = "?", LifecycleState = "" }): SeenMember => {
      const state = /^(Terminat|Detach)/.test(LifecycleState) ? "leaving" : "coming";
      return { id: InstanceId, state, reason: `${LifecycleState}, not in the target group` };
    });
  const members = [...targets.map(memberOf), ...waiting];
  return {
    ...(group?.DesiredCapacity === undefined ? {} : { wanted: group.DesiredCapacity }),
    up: members.filter(({ state }) => state === "up").length,
    members,
    ...(problem === undefined ? {} : { problem }),
  };
}

/** Why instances do not come, if the last thing that the group did failed. Pure. */
export function launchProblem(activities: readonly Activity[]): string | undefined {
  const [latest] = [...activities].sort(
    (one, other) => (other.StartTime?.getTime() ?? 0) - (one.StartTime?.getTime() ?? 0),
  );
  if (latest?.StatusCode !== "Failed" && latest?.StatusCode !== "Cancelled") return undefined;
  const words = (latest.StatusMessage ?? latest.Description ?? "").replace(/\s+/g, " ").trim();
  const isCapacity = /InsufficientInstanceCapacity|sufficient .*capacity/i.test(words);
  const code =
    isCapacity && !words.includes("InsufficientInstanceCapacity") ? "InsufficientInstanceCapacity: " : "";
  return `the Auto Scaling group could not launch: ${code}${words.slice(0, 300)}`;
}
