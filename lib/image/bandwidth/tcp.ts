import { readFileSync } from "node:fs";

/** What this network namespace's TCP has counted since it began. */
export interface TcpCounters {
  readonly sentSegments: number;
  readonly retransmittedSegments: number;
}

/** Undefined where there is no `/proc/net/snmp`: elsewhere than on Linux. */
export function readTcpCounters(): TcpCounters | undefined {
  return parseTcpCounters(tryRead("/proc/net/snmp") ?? "");
}

/** Two lines begin with `Tcp:`, one with names and one with numbers (proc_net_snmp). */
export function parseTcpCounters(text: string): TcpCounters | undefined {
  const [names, values] = text
    .split("\n")
    .filter((line) => line.startsWith("Tcp:"))
    .map((line) => line.trim().split(/\s+/));
  const of = (name: string) => Number(values?.[names?.indexOf(name) ?? -1] ?? NaN);
  const counters = { sentSegments: of("OutSegs"), retransmittedSegments: of("RetransSegs") };
  return Object.values(counters).every(Number.isFinite) ? counters : undefined;
}

/** Fewer segments than that say nothing about loss. */
const ENOUGH_SEGMENTS = 200;

/** Share of segments sent again, 0 to 1, between two looks. Undefined when too few were sent to say. */
export function lossBetween(
  before: TcpCounters | undefined,
  after: TcpCounters | undefined,
): number | undefined {
  if (!before || !after) return undefined;
  const sent = after.sentSegments - before.sentSegments;
  const again = after.retransmittedSegments - before.retransmittedSegments;
  return sent < ENOUGH_SEGMENTS || again < 0 ? undefined : Math.min(1, again / sent);
}

/** How this machine's TCP judges a link: `cubic`, `bbr`. Undefined elsewhere than on Linux. */
export function congestionControl(): string | undefined {
  const name = tryRead("/proc/sys/net/ipv4/tcp_congestion_control")?.trim();
  return name === "" ? undefined : name;
}

/** What a congestion control means for a transfer. One sentence, without the name. */
export function congestionControlMeans(name: string): string {
  return name.startsWith("bbr")
    ? "loss does not slow it down: a transfer fills the link with 1 to 4 streams"
    : "loss slows each stream down: a transfer uses as many as fill the link, up to 64 at 1 % loss";
}

function tryRead(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
