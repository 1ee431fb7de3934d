import { existsSync, readFileSync } from "node:fs";
import { messageOf } from "../../lib/errors";
import { declaredPools, partStatuses } from "../../lib/site/agent";
import type { PartStatus } from "../../lib/site/api";
import type { SitePorts } from "../../lib/site/ports";
import { diagnoseHaproxy, type AttachOptions } from "../../providers/haproxy";
import { missing, note, ok, type Finding } from "../doctor/check";
import type { AgentConfig } from "./config";
import { portsOf } from "./ports";

const CHECK_MS = 10_000;

/** What else may be looked at. */
export interface CheckOptions {
  /** The configuration file of a HAProxy of the user's own. */
  readonly haproxyConfig?: string;
}

/**
 * Looks at every part that an agent is configured to run on. Changes nothing; the agent may run meanwhile. A HAProxy of the user's
 * own is compared with the pools that the agent has been told of.
 */
export async function checkParts(config: AgentConfig, options: CheckOptions = {}): Promise<Finding[]> {
  const files = [
    config.tokenFile,
    ...(config.tls ? [config.tls.certFile, config.tls.keyFile] : []),
    ...[config.prometheus?.tokenFile, config.prometheus?.caFile, config.prometheus?.passwordFile],
  ];
  const lacking = files
    .filter((file): file is string => file !== undefined && !existsSync(file))
    .map((file) => missing("file", `${file} is not there`, "Write it, readable for the agent's user only."));
  const configuration = haproxyConfiguration(options);
  const found = configuration && "status" in configuration ? [configuration] : [];
  const text = configuration && "text" in configuration ? configuration : undefined;
  const parts = await partStatuses(await portsToCheck(config, text), AbortSignal.timeout(CHECK_MS));
  return [...lacking, ...found, ...parts.flatMap((part) => findingsOf(part, part.part))];
}

/** What is to be told of a part: all its problems, then advice; or that it is well. */
export function findingsOf({ kind, problems, advice }: PartStatus, name: string): Finding[] {
  const told = [
    ...problems.map(({ place, problem, mend }) => missing(name, `${problem} (at ${place})`, mend)),
    ...advice.map(({ place, problem, mend }) => note(name, `${problem} (at ${place})`, mend)),
  ];
  return problems.length > 0 ? told : [ok(name, kind), ...told];
}

async function portsToCheck(config: AgentConfig, configuration: Text | undefined): Promise<SitePorts> {
  const ports = portsOf(config);
  const { balancer } = config;
  if (balancer.kind !== "haproxy" || balancer.attach === undefined) return ports;
  const attach: AttachOptions = balancer.attach;
  const pools = (await declaredPools(config.stateDir)).map(({ name, spec }) => ({ name, ...spec }));
  const check = (signal: AbortSignal) =>
    diagnoseHaproxy({ ...attach, pools, settings: balancer.settings, configuration, signal });
  return { ...ports, balancer: Object.assign(ports.balancer, { check }) };
}

interface Text {
  readonly text: string;
  readonly file: string;
}

function haproxyConfiguration({ haproxyConfig: file }: CheckOptions): Text | Finding | undefined {
  if (file === undefined) return undefined;
  try {
    return { text: readFileSync(file, "utf8"), file };
  } catch (error) {
    return missing("file", messageOf(error), "Name HAProxy's own configuration file in --haproxy-config.");
  }
}
