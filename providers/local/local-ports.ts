import { existsSync } from "node:fs";
import { agentProcess, endSite } from "../../lib/site/agent";
import type { SitePorts } from "../../lib/site/ports";
import { LocalBalancer } from "./balancer";
import { LocalLauncher } from "./launcher";
import { LocalNameServer } from "./nameserver";
import { endProcess } from "./process";

export interface LocalPortsOptions {
  /** The site's state directory. */
  readonly stateDir: string;
  /** Where to answer for the global name, UDP and TCP. @default - nowhere */
  readonly nameServer?: { readonly host: string; readonly port: number };
}

/** The embedded default: everything a site runs on, as unprivileged processes of this machine. */
export function localPorts({ stateDir, nameServer }: LocalPortsOptions): SitePorts {
  return {
    launcher: new LocalLauncher({ stateDir }),
    balancer: new LocalBalancer({ stateDir }),
    ...(nameServer
      ? { nameServer: new LocalNameServer({ stateDir, address: nameServer.host, port: nameServer.port }) }
      : {}),
  };
}

/**
 * Ends all that runs at a site of this machine, whoever started it: the agent if it is still there, then members, balancer and name
 * server. Users that are still there are cut off: it is a lab's clean-up, not a way home.
 * @param ports what it runs on, where that is not the embedded default; what others run goes on, and records there stay
 */
export async function clearSite(stateDir: string, ports?: SitePorts): Promise<void> {
  if (!existsSync(stateDir)) return;
  const agent = await agentProcess(stateDir);
  // An agent in this very process is its owner's to close; it makes what follows say so.
  if (agent !== undefined && agent.pid !== process.pid) await endProcess(agent, 3_000);
  // It is found by its state directory; where it listens does not matter for its end.
  const embedded = localPorts({ stateDir, nameServer: { host: "127.0.0.1", port: 0 } });
  await endSite({ stateDir, ports: ports ?? embedded });
}
