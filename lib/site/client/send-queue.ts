import { readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { performance } from "node:perf_hooks";

/** What the operating system has of a connection that the other end has not acknowledged. */
export interface SendQueue {
  readonly bytes: number;
  /** The other end is there, but takes nothing for the time being: its window is closed, and it answers when asked. */
  readonly isHeldBack: boolean;
}

/** Of timers (proc_net_tcp): asks an end whose window is closed. */
const ZERO_WINDOW_PROBE = 4;
/** A live end answers each; a few may be lost. */
const UNANSWERED_PROBES = 3;
/** Many connections ask at the same time. */
const FRESH_MS = 200;

/**
 * Looks into what the operating system has queued. A connection on which a write is done may still have megabytes to bring over a slow
 * link, and only this tells them from a link that is cut.
 */
export class SendQueues {
  private lines: readonly string[] = [];
  private readAt = -Infinity;

  /** Undefined where it cannot be known: elsewhere than on Linux. */
  of(socket: Socket): SendQueue | undefined {
    const { localPort, remotePort } = socket;
    if (localPort === undefined || remotePort === undefined) return undefined;
    if (performance.now() - this.readAt > FRESH_MS) this.read();
    return findQueue(this.lines, localPort, remotePort);
  }

  /** Bytes of all of these, as they are now; undefined where it cannot be known. */
  sum(sockets: readonly Socket[]): number | undefined {
    this.read();
    let bytes: number | undefined;
    for (const { localPort, remotePort } of sockets) {
      if (localPort === undefined || remotePort === undefined) continue;
      const queue = findQueue(this.lines, localPort, remotePort);
      if (queue) bytes = (bytes ?? 0) + queue.bytes;
    }
    return bytes;
  }

  private read(): void {
    this.lines = ["/proc/net/tcp", "/proc/net/tcp6"].flatMap((file) => tryRead(file).split("\n"));
    this.readAt = performance.now();
  }
}

/** @param lines of `/proc/net/tcp`: number, local and remote address:port, state, queues, timer, retransmissions, user, probes … */
export function findQueue(
  lines: readonly string[],
  localPort: number,
  remotePort: number,
): SendQueue | undefined {
  const [local, remote] = [localPort, remotePort].map(
    (port) => `:${port.toString(16).toUpperCase().padStart(4, "0")}`,
  );
  for (const line of lines) {
    if (!line.includes(local)) continue;
    const [, from = "", to = "", , queues = "", timer = "", , , probes = ""] = line.trim().split(/\s+/);
    if (!from.endsWith(local) || !to.endsWith(remote)) continue;
    const bytes = parseInt(queues.split(":")[0], 16);
    if (!Number.isFinite(bytes)) return undefined;
    const isProbing = parseInt(timer.split(":")[0], 16) === ZERO_WINDOW_PROBE;
    return { bytes, isHeldBack: isProbing && Number(probes) < UNANSWERED_PROBES };
  }
  return undefined;
}

function tryRead(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
