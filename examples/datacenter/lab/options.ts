import type { ChildProcess, StdioOptions } from "node:child_process";

/** Where something can run. `router` is the Internet between the others. */
export type Place = "clients" | "onprem" | "cloud" | "gslb" | "router";

export type SiteName = "onprem" | "cloud";

/** What can be cut. A site that is cut loses the router and the WAN; `wan` is the line between the two sites alone. */
export type Line = "wan" | "clients" | "onprem" | "cloud" | "gslb";

/** The daemons of the lab that are nobody's children but its own. */
export type PartName =
  | "wan"
  | "clients-line"
  | "powerdns"
  | "agent-onprem"
  | "agent-cloud"
  | "prometheus"
  | "node-exporter-onprem"
  | "node-exporter-cloud";

/** A long line, emulated packet by packet. */
export interface LineOptions {
  /** Each way: bits per second with k, M or G. @default "100M" */
  readonly rate?: string;
  /** One way. @default 25 */
  readonly delayMs?: number;
  /** @default 0 */
  readonly lossPercent?: number;
}

/** The agent's configuration file, as far as it is changed here. */
export type AgentConfiguration = Record<string, unknown>;

export interface LayOutOptions {
  /**
   * The lab's own directory: state, logs, tokens. Must be empty, missing, or that of a lab that is gone.
   * @default - a new one in the system's folder for temporary files
   */
  readonly dir?: string;
  /** The line between onprem and cloud: images, agents, monitoring. @default - 100 Mbit/s, 25 ms each way, no loss */
  readonly wan?: LineOptions;
  /** The same for the users' line to the Internet. @default - none: as fast as this machine */
  readonly clientsLine?: LineOptions;
  /** So many more addresses for users, {@link Datacenter.clientAddresses}. At most 240. @default 0 */
  readonly clientAddresses?: number;
  /** The zone that PowerDNS answers for. @default "example.test" */
  readonly zone?: string;
  /** At which both sites serve; PowerDNS probes it. @default 8080 */
  readonly port?: number;
  /** What PowerDNS probes. False: answers go by weight only. @default "/healthz" */
  readonly healthPath?: string | false;
  /** More of the agent's `nameServer` (PowerDnsOptions). @default - nothing */
  readonly nameServer?: Readonly<Record<string, unknown>>;
  /** The `settings` of each site's HAProxy. @default - its exporter only */
  readonly balancerSettings?: Readonly<Record<string, unknown>>;
  /** The last word on an agent's configuration file. @default - as it is */
  readonly configure?: (site: SiteName, configuration: AgentConfiguration) => AgentConfiguration;
  /** Prometheus and node exporters. @default true */
  readonly prometheus?: boolean;
  /** The lab ends with this process, also by Ctrl-C, and when this one was killed with the next lab. @default true */
  readonly endWithProcess?: boolean;
  /** Told of each step. @default - nobody */
  readonly onStep?: (line: string) => void;
}

/** How a site's agent is reached, from inside the lab. */
export interface SiteAccess {
  readonly name: SiteName;
  /** `https://10.77.1.2:7700` */
  readonly endpoint: string;
  /** What the global record answers with. */
  readonly address: string;
  readonly tokenFile: string;
  /** The certificate that its agent shows: the authority to trust. */
  readonly caFile: string;
  /** What `spillway agent --config` is given. */
  readonly configFile: string;
  readonly stateDir: string;
  readonly logFile: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Written to its standard input. */
  readonly input?: string;
  /** Ended when it takes longer. @default - no limit */
  readonly timeoutMs?: number;
}

export interface RunResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface SpawnOptions {
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Gets what it prints, appended. @default - pipes */
  readonly log?: string;
  /** @default - standard input closed, the others as `log` says */
  readonly stdio?: StdioOptions;
}

/** One daemon of the lab. */
export interface Part {
  readonly name: PartName;
  readonly logFile: string;
  /** Undefined when it does not run. */
  pid(): number | undefined;
  /** Ends it and waits until it is gone. What it started (members, HAProxy) goes on. @default "SIGKILL" */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again as it was, and waits until it answers. */
  start(): Promise<void>;
}

/** A lab that is laid out: all of it inside network namespaces of its own. Nothing of it can be reached but by running something there. */
export interface Datacenter {
  /** Part of the names of its namespaces. */
  readonly id: string;
  readonly dir: string;
  /** Name of each network namespace, for `ip netns`. */
  readonly namespaces: Readonly<Record<Place, string>>;
  readonly addresses: Readonly<Record<Exclude<Place, "router">, string>>;
  /** {@link LayOutOptions.clientAddresses} */
  readonly clientAddresses: readonly string[];
  readonly zone: string;
  readonly port: number;
  readonly nameServer: { readonly host: string; readonly port: number };
  readonly powerdns: { readonly api: string; readonly keyFile: string };
  /** Undefined without it. */
  readonly prometheus: { readonly endpoint: string } | undefined;
  site(name: SiteName): SiteAccess;
  /** Runs a program to its end. Rejects only when it cannot be started. */
  run(place: Place, argv: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** Starts a program; it ends with the lab. */
  spawn(place: Place, argv: readonly string[], options?: SpawnOptions): ChildProcess;
  /** @throws Error when the lab has no such part */
  part(name: PartName): Part;
  /** Nothing passes any more, and nobody is told: packets vanish. Idempotent. */
  cut(line: Line): void;
  /** Idempotent. */
  heal(line: Line): void;
  /** Ends all that runs there, by process id, and removes it with its directory. Idempotent. */
  close(): Promise<void>;
}
