import { formatDuration } from "../../../lib/duration";
import {
  bandwidthFile,
  bandwidthText,
  capAt,
  formatCap,
  formatWindow,
  nextChange,
  parseBandwidth,
  readBandwidth,
  writeBandwidth,
  type BandwidthPlan,
} from "../../../lib/image/bandwidth";
import { EXIT, jsonLine, reading } from "../../output";

export interface CapOptions {
  readonly rate?: string;
  readonly window?: readonly string[];
  /** False to take all windows away. @default true */
  readonly windows?: boolean;
  readonly json?: boolean;
}

/** Shows this machine's cap; with a rate or windows, sets that first, and keeps the rest. Transfers that run follow within a second or two. */
export async function run({ rate, window, windows = true, json }: CapOptions): Promise<number> {
  const told = { cap: rate, windows: window ?? (windows ? undefined : []) };
  if (Object.values(told).some((one) => one !== undefined)) {
    const text = withoutUndefined(told);
    const present = bandwidthText(presentPlan());
    writeBandwidth(reading(() => parseBandwidth({ ...present, ...text }, "command line")));
  }
  const plan = readBandwidth();
  const file = bandwidthFile();
  const now = capAt(plan, new Date());
  process.stdout.write(
    json
      ? jsonLine({ ok: true, file, nowBps: now ?? null, ...bandwidthText(plan) })
      : `${planText(plan, now)}\n${file}\n`,
  );
  return EXIT.ok;
}

/** A file that is broken is about to be replaced. */
function presentPlan(): BandwidthPlan {
  try {
    return readBandwidth();
  } catch {
    return {};
  }
}

function planText(plan: BandwidthPlan, now: number | undefined): string {
  const change = nextChange(plan, new Date());
  const until = change ? ` for ${formatDuration(change.getTime() - Date.now())}` : "";
  const lines = [`now: ${now === undefined ? "unlimited" : now === 0 ? "off" : formatCap(now)}${until}`];
  if (plan.windows?.length) {
    for (const window of plan.windows) lines.push(`window: ${formatWindow(window)}`);
    lines.push(`otherwise: ${formatCap(plan.capBps ?? "none")}`);
  }
  return lines.join("\n");
}

function withoutUndefined<T extends object>(value: T): Partial<T> {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as Partial<T>;
}
