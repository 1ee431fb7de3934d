import { range, selector } from "./label";

/** Machines whose node exporter Prometheus scrapes. */
export interface NodeTarget {
  /** @default - any job */
  readonly job?: string;
  /** `HOST:PORT` as Prometheus scrapes it. @default - all: shares are then those of the fullest machine, rates the sum */
  readonly instance?: string;
  /** One network interface. @default - all but loopback */
  readonly device?: string;
  /** Rates are taken over so long, milliseconds: at least two scrape intervals. @default 60000 */
  readonly overMs?: number;
}

/** PromQL, each giving one number, and no data where the exporter is not there. */
export interface NodeQueries {
  /** 0 to 1, of all processors. */
  readonly cpuBusyShare: string;
  /** 0 to 1, of what can be had without swapping. */
  readonly memoryUsedShare: string;
  readonly memoryAvailableBytes: string;
  /** Bits per second. */
  readonly receivedBps: string;
  readonly sentBps: string;
}

/** Ready-made queries for the node exporter, 1.0 and later. Pure. */
export function nodeQueries(target: NodeTarget = {}): NodeQueries {
  const { job, instance, device } = target;
  const over = range(target.overMs ?? 60_000);
  const of = selector({ job, instance });
  const idle = selector({ job, instance, mode: "idle" });
  const port = selector({ job, instance, device }, ...(device === undefined ? ['device!="lo"'] : []));
  const bitRate = (direction: string) =>
    `8 * sum(rate(node_network_${direction}_bytes_total${port}[${over}]))`;
  return {
    cpuBusyShare: `clamp(max(1 - avg by (job, instance) (rate(node_cpu_seconds_total${idle}[${over}]))), 0, 1)`,
    memoryUsedShare: `max(1 - node_memory_MemAvailable_bytes${of} / node_memory_MemTotal_bytes${of})`,
    memoryAvailableBytes: `min(node_memory_MemAvailable_bytes${of})`,
    receivedBps: bitRate("receive"),
    sentBps: bitRate("transmit"),
  };
}
