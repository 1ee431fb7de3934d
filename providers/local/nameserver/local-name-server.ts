import { isIPv6 } from "node:net";
import { SpillwayError } from "../../../lib/errors";
import type { RecordPlan, RecordSpec, RecordStatus } from "../../../lib/site/api";
import type { NameServer } from "../../../lib/site/ports";
import { HelperProcess, type HelperHealth } from "../helper-process";
import { refuseInvalid } from "./records";

export interface LocalNameServerOptions {
  /** Private folder for its control socket, state and log. One name server per folder. */
  readonly stateDir: string;
  /** The address it answers on, UDP and TCP. */
  readonly address: string;
  /** The port it answers on. 0 takes any that is free, and the same again after a restart. */
  readonly port: number;
}

/**
 * The embedded name server: a detached process that carries on when this one is killed. When the name server itself was killed,
 * the next call starts another, which answers what its state file holds.
 */
export class LocalNameServer implements NameServer {
  private readonly process: HelperProcess;
  private port: number;

  constructor(private readonly options: LocalNameServerOptions) {
    this.port = options.port;
    this.process = new HelperProcess({
      kind: "name-server",
      stateDir: options.stateDir,
      entry: "providers/local/nameserver/main",
      args: [],
    });
  }

  /** Known once it has started, when port 0 was asked for. */
  get endpoint(): string {
    const { address } = this.options;
    return `${isIPv6(address) ? `[${address}]` : address}:${this.port}`;
  }

  /**
   * {@link NameServer.start}
   * @throws SpillwayError with code `port-taken` in its cause when it cannot listen
   */
  async start(): Promise<void> {
    await this.process.start();
    const { address, port } = this.options;
    const answer = await this.process.ask<{ port: number }>("PUT", ["endpoint"], { address, port });
    this.port = answer?.port ?? port;
  }

  /** {@link NameServer.put} */
  async put(name: string, spec: RecordSpec): Promise<RecordStatus> {
    return (await this.process.ask<RecordStatus>("PUT", ["records", name], spec)) as RecordStatus;
  }

  /** {@link NameServer.get} */
  get(name: string): Promise<RecordStatus | undefined> {
    return this.process.ask<RecordStatus>("GET", ["records", name]);
  }

  /** {@link NameServer.list} */
  async list(): Promise<readonly RecordStatus[]> {
    return (await this.process.ask<readonly RecordStatus[]>("GET", ["records"])) ?? [];
  }

  /** {@link NameServer.remove} */
  async remove(name: string): Promise<void> {
    await this.process.ask("DELETE", ["records", name]);
  }

  /** {@link NameServer.planRecord}: what it would refuse. It answers every name, and by weight. */
  async planRecord(name: string, spec: RecordSpec): Promise<Pick<RecordPlan, "problems" | "notes">> {
    try {
      refuseInvalid(name, spec);
      return { problems: [], notes: [] };
    } catch (error) {
      if (error instanceof SpillwayError) return { problems: [error.report], notes: [] };
      throw error;
    }
  }

  /** The process behind it: its id, CPU time and memory. */
  async health(): Promise<HelperHealth> {
    return (await this.process.ask<HelperHealth>("GET", ["health"])) as HelperHealth;
  }

  /** {@link NameServer.stop} */
  stop(): Promise<void> {
    return this.process.stop();
  }
}
