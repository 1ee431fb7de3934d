import { formatBytes, formatDuration } from "../../lib/duration";
import { formatCap } from "../../lib/image/bandwidth";
import type { HookEvent } from "../../lib/hook/events";
import type { TerraformEvent } from "../../lib/hook/terraform-events";
import type { SiteEvent } from "../../lib/site/api";
import type { Progress } from "../../lib/wait";

export type Tone = "plain" | "soft" | "good" | "bad" | "bright";

/** One line of the timeline, before it is laid out. */
export interface TimelineLine {
  /** Who or what: a step, a site, `hook`. */
  readonly label: string;
  readonly text: string;
  readonly tone: Tone;
}

/** A wait or a transfer: what it waits for, how far it is, how long it still takes. */
export function progressLine(progress: Progress): TimelineLine {
  const fraction = progress.fraction === undefined ? "" : `, ${Math.round(progress.fraction * 100)} %`;
  const eta = progress.etaMs === undefined ? "" : `, ${formatDuration(progress.etaMs)} to go`;
  return {
    label: progress.step,
    text: `${progress.subject}: ${progress.message}${fraction}${eta}`,
    tone: "soft",
  };
}

const SITE_TONES: Partial<Record<SiteEvent["kind"], Tone>> = {
  "gate-opened": "good",
  "image-complete": "good",
  "member-up": "good",
  "member-down": "bad",
  "pool-failed": "bad",
  "record-changed": "bright",
  "quiesce-changed": "soft",
  "agent-started": "soft",
};

/** Something a site did: `cloud  gate opened  shop: 2 members up`. */
export function siteLine(site: string, event: SiteEvent): TimelineLine {
  const what = event.kind.replace("-", " ");
  return {
    label: site,
    text: `${what}: ${event.subject}${event.detail === "" ? "" : `, ${event.detail}`}`,
    tone: SITE_TONES[event.kind] ?? "plain",
  };
}

/** Undefined for what is shown otherwise (observations, in the status line) or not at all (a decision to hold). */
export function hookLine(event: HookEvent): TimelineLine | undefined {
  switch (event.kind) {
    case "observed":
    case "intended":
    case "stopped":
      return undefined;
    case "progress":
      return progressLine(event.progress);
    case "waiting":
      return { label: "hook", text: event.message, tone: "soft" };
    case "started":
      return { label: "hook", text: `watching (${event.mode}); ${event.parameters.reason}`, tone: "plain" };
    case "decided": {
      const { action, reason, desired } = event.decision;
      if (action === "hold") return undefined;
      const what = desired.burst ? `${desired.cloudMembers} in the cloud, ` : "";
      return {
        label: "decide",
        text: `${action}: ${what}${weightsText(desired.weights)}. ${reason}`,
        tone: "bright",
      };
    }
    case "planned":
      return {
        label: "plan",
        text: event.cost === undefined ? event.summary : `${event.summary}; ${event.cost}`,
        tone: "plain",
      };
    case "refused":
      return {
        label: "refused",
        text: event.refusals.map(({ address, problem }) => `${address}: ${problem}`).join("; "),
        tone: "bad",
      };
    case "flipped":
      return {
        label: "flip",
        text: `${event.parameters.burst ? "burst" : "home"}, ${weightsText(event.parameters.weights)}`,
        tone: "bright",
      };
    case "proposed":
      return { label: "propose", text: `branch ${event.branch}`, tone: "bright" };
    case "applying":
      return { label: "apply", text: `terraform apply (process ${event.pid})`, tone: "bright" };
    case "terraform":
      return terraformLine(event.event);
    case "aborting":
      return { label: "apply", text: `stopping it: ${event.why}`, tone: "bad" };
    case "aborted":
      return { label: "apply", text: "stopped; the next apply finishes it", tone: "bad" };
    case "applied":
      return {
        label: "apply",
        text: `${event.changed ? "done" : "nothing to change"} in ${formatDuration(event.durationMs)}`,
        tone: "good",
      };
    case "verified":
      return {
        label: "verify",
        text: `${event.inForce ? "in force" : "not in force"}: ${event.detail}`,
        tone: event.inForce ? "good" : "bad",
      };
    case "failed":
      return { label: "failed", text: event.problem, tone: "bad" };
    case "problem":
      return { label: "hook", text: event.message, tone: "bad" };
    case "pre-positioning": {
      const capped = event.capBps === undefined ? "" : `, at most ${formatCap(event.capBps)}`;
      return {
        label: "image",
        text: `brought nearer in the background${capped}: ${event.why}`,
        tone: "soft",
      };
    }
    case "pre-positioned":
      return {
        label: "image",
        text: `${event.digest} is at the cloud: ${formatBytes(event.sentBytes)} sent in ${formatDuration(event.durationMs)}`,
        tone: "good",
      };
    case "pre-position-stopped":
      return { label: "image", text: `no longer brought nearer: ${event.why}`, tone: "soft" };
    case "seed-advice":
      return { label: "seed", text: event.reason, tone: event.keep ? "soft" : "bright" };
  }
}

/** Only what Terraform starts and ends: the provider's own progress says what happens in between. */
function terraformLine(event: TerraformEvent): TimelineLine | undefined {
  if (event.type === "apply_start" || event.type === "apply_complete") {
    return { label: "terraform", text: event.message, tone: "plain" };
  }
  if (event.type === "apply_errored" || event.type === "diagnostic") {
    const tone = event.diagnostic?.severity === "warning" ? "soft" : "bad";
    return { label: "terraform", text: event.message, tone };
  }
  return undefined;
}

/** `onprem 55, cloud 45` */
export function weightsText(weights: Readonly<Record<string, number>>): string {
  return Object.entries(weights)
    .map(([site, weight]) => `${site} ${weight}`)
    .join(", ");
}
