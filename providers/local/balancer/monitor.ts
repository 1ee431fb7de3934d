import { get } from "node:http";
import { connect } from "node:net";
import type { MonitorSpec } from "../../../lib/site/api";
import { PROBE_HEADER } from "./headers";

/** What one probe found: `undefined` is good. */
export type ProbeResult = { readonly problem: string } | undefined;

/** Asks a member once whether it is well. Never throws. */
export function probe(address: string, port: number, spec: MonitorSpec): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const finish = (problem?: string) => {
      clearTimeout(timer);
      resolve(problem === undefined ? undefined : { problem });
      asked.destroy();
    };
    const asked = spec.type === "tcp" ? connect(port, address, finish) : askHttp(address, port, spec, finish);
    // Under load this process may itself be late: an answer that is already here is read before it counts as missing.
    const late = () => setImmediate(() => finish(`no answer within ${spec.timeoutMs} ms`));
    const timer = setTimeout(late, spec.timeoutMs);
    asked.on("error", (error) => finish(error.message));
  });
}

function askHttp(address: string, port: number, spec: MonitorSpec, finish: (problem?: string) => void) {
  return get(
    {
      host: address,
      port,
      path: spec.path,
      agent: false,
      headers: { "user-agent": "spillway-monitor", [PROBE_HEADER]: "1" },
    },
    (answer) => {
      answer.resume();
      const { statusCode } = answer;
      finish(
        statusCode === spec.expectStatus
          ? undefined
          : `GET ${spec.path} answered ${statusCode}, not ${spec.expectStatus}`,
      );
    },
  );
}

/** Between the probes of a member that is on its way up: waiting out whole intervals would only keep users waiting. */
const RISING_INTERVAL_MS = 250;

/**
 * Watches one member: `rise` good probes in a row make it up, `fall` bad ones make it down. It starts down. While it has never
 * been up, and while it rises, it is probed every 250 ms (or at the interval, if that is shorter).
 */
export class Monitor {
  up = false;
  /** A request failed on it since the last good probe. */
  suspicious = false;
  lastProblem: string | undefined;
  private goods = 0;
  private bads = 0;
  private everUp = false;
  private timer: NodeJS.Timeout | undefined;
  private probing = false;
  private ended = false;

  constructor(
    private readonly address: string,
    private readonly port: number,
    private spec: MonitorSpec,
    /** It went up or down, or is no longer suspicious. */
    private readonly onChange: () => void,
  ) {
    this.schedule(0);
  }

  /** Other thresholds from now on; what was seen so far stays. */
  change(spec: MonitorSpec): void {
    this.spec = spec;
    if (!this.probing) this.schedule(Math.min(spec.intervalMs, RISING_INTERVAL_MS));
  }

  /** A request failed on it: look now. */
  suspect(problem: string): void {
    this.lastProblem = problem;
    if (this.suspicious) return;
    this.suspicious = true;
    if (!this.probing) this.schedule(0);
  }

  end(): void {
    this.ended = true;
    clearTimeout(this.timer);
  }

  private schedule(afterMs: number): void {
    clearTimeout(this.timer);
    if (!this.ended) this.timer = setTimeout(() => void this.look(), afterMs);
  }

  private async look(): Promise<void> {
    this.probing = true;
    const started = performance.now();
    const suspicious = this.suspicious;
    const result = await probe(this.address, this.port, this.spec);
    this.probing = false;
    if (this.ended) return;
    if (result === undefined) this.good();
    else this.bad(result.problem);
    // A request that failed while the probe was out is news that the probe may not have known.
    if (this.suspicious && !suspicious) return this.schedule(0);
    const rising = !this.up && (!this.everUp || this.goods > 0);
    const pauseMs =
      rising || this.suspicious ? Math.min(this.spec.intervalMs, RISING_INTERVAL_MS) : this.spec.intervalMs;
    this.schedule(Math.max(0, pauseMs - (performance.now() - started)));
  }

  private good(): void {
    this.goods += 1;
    this.bads = 0;
    const wasSuspicious = this.suspicious;
    this.suspicious = false;
    const rose = !this.up && this.goods >= this.spec.rise;
    if (rose) {
      this.up = true;
      this.everUp = true;
      this.lastProblem = undefined;
    }
    if (rose || wasSuspicious) this.onChange();
  }

  private bad(problem: string): void {
    this.bads += 1;
    this.goods = 0;
    this.lastProblem = problem;
    if (this.up && this.bads >= this.spec.fall) {
      this.up = false;
      this.onChange();
    }
  }
}
