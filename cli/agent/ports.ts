import { join } from "node:path";
import type { SitePorts } from "../../lib/site/ports";
import { EbsSnapshotMaker } from "../../providers/aws/ebs/snapshot-maker";
import { HaproxyBalancer } from "../../providers/haproxy";
import { localPorts } from "../../providers/local";
import { PowerDnsNameServer } from "../../providers/powerdns";
import { Rfc2136NameServer } from "../../providers/rfc2136";
import type { AgentConfig } from "./config";

/** What a site runs on, as configured. Starts nothing. */
export function portsOf(
  config: Pick<AgentConfig, "stateDir" | "balancer" | "nameServer" | "ebs">,
): SitePorts {
  const { stateDir, balancer, nameServer, ebs } = config;
  const embedded = localPorts({
    stateDir,
    nameServer: nameServer?.kind === "embedded" ? nameServer.listen : undefined,
  });
  const instance = { file: join(stateDir, "instance") };
  return {
    ...embedded,
    ...(balancer.kind === "haproxy" ? { balancer: haproxy(stateDir, balancer) } : {}),
    ...(ebs ? { snapshots: new EbsSnapshotMaker(ebs) } : {}),
    ...(nameServer?.kind === "powerdns"
      ? { nameServer: new PowerDnsNameServer({ ...nameServer.options, instance }) }
      : {}),
    ...(nameServer?.kind === "rfc2136"
      ? { nameServer: new Rfc2136NameServer({ ...nameServer.options, instance }) }
      : {}),
  };
}

function haproxy(
  stateDir: string,
  { attach, program, settings }: Extract<AgentConfig["balancer"], { kind: "haproxy" }>,
): HaproxyBalancer {
  return new HaproxyBalancer({ stateDir, attach, program, settings });
}
