import { formatDuration } from "../duration";
import type { Progress } from "../wait";
import type { TerraformEvent } from "./terraform-events";

/** Which step of a burst the making of a platform's resource is. Its removal is a take-down, but for answers. */
const STEPS: Readonly<Record<string, Progress["step"]>> = {
  aws_ami: "transfer",
  aws_launch_template: "launch",
  aws_autoscaling_group: "launch",
  aws_lb: "launch",
  aws_lb_listener: "launch",
  aws_lb_listener_rule: "launch",
  aws_lb_target_group: "launch",
  aws_route53_health_check: "direct",
  aws_route53_record: "direct",
};

const DOING: Readonly<Record<string, readonly [string, string]>> = {
  create: ["being made", "made"],
  update: ["being changed", "changed"],
  delete: ["being removed", "removed"],
};

/**
 * A step that Terraform tells of while it applies. Our own provider's resources tell of themselves, and far better; of a platform's nobody
 * else says anything. Undefined for all others. Pure.
 */
export function platformProgress({
  type,
  address,
  action,
  elapsedSeconds,
}: TerraformEvent): Progress | undefined {
  const [, resource = ""] = /(?:^|\.)(aws_[a-z0-9_]+)\.[^.]+$/.exec(address ?? "") ?? [];
  const step = Object.hasOwn(STEPS, resource) ? STEPS[resource] : undefined;
  const words = DOING[action ?? ""];
  if (step === undefined || !words || address === undefined) return undefined;
  const of = (message: string, more: Partial<Progress> = {}): Progress => ({
    step: action === "delete" && step !== "direct" ? "take-down" : step,
    subject: address,
    message,
    ...more,
  });
  const [doing, done] = words;
  switch (type) {
    case "apply_start":
      return of(doing);
    case "apply_progress":
      return of(`${doing} for ${formatDuration((elapsedSeconds ?? 0) * 1_000)}`);
    case "apply_complete":
      return of(done, { fraction: 1 });
    default:
      return undefined;
  }
}
