import { existsSync } from "node:fs";
import { partStatuses } from "../../lib/site/agent";
import type { PartStatus } from "../../lib/site/api";
import { missing, note, ok, type Finding } from "../doctor/check";
import type { AgentConfig } from "./config";
import { portsOf } from "./ports";

const CHECK_MS = 10_000;

/** Looks at every part that an agent is configured to run on. Changes nothing; the agent may run meanwhile. */
export async function checkParts(config: AgentConfig): Promise<Finding[]> {
  const files = [
    config.tokenFile,
    ...(config.tls ? [config.tls.certFile, config.tls.keyFile] : []),
    ...[config.prometheus?.tokenFile, config.prometheus?.caFile, config.prometheus?.passwordFile],
  ];
  const lacking = files
    .filter((file): file is string => file !== undefined && !existsSync(file))
    .map((file) => missing(file, "there is no such file", "Write it, readable for the agent's user only."));
  const parts = await partStatuses(portsOf(config), AbortSignal.timeout(CHECK_MS));
  return [...lacking, ...parts.flatMap((part) => findingsOf(part, part.part))];
}

/** What is to be told of a part: all its problems, then advice; or that it is well. */
export function findingsOf({ part, kind, problems, advice }: PartStatus, name: string): Finding[] {
  const told = [
    ...problems.map(({ place, problem, mend }) => missing(name, `${problem} (at ${place})`, mend)),
    ...advice.map(({ place, problem, mend }) => note(name, `${problem} (at ${place})`, mend)),
  ];
  return problems.length > 0 ? told : [ok(name, part === "launcher" ? kind : `${kind}, in order`), ...told];
}
