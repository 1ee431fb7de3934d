import { endSite } from "../../lib/site/agent";
import { localPorts } from "./local-ports";

/**
 * Ends everything that runs out of a state directory whose agent is stopped: members, balancer, name server.
 * @throws SpillwayError while the agent runs
 */
export async function clearSite(stateDir: string): Promise<void> {
  // Whether there is a name server shows in the directory; where it listens does not matter to end it.
  await endSite({ stateDir, ports: localPorts({ stateDir, nameServer: { host: "127.0.0.1", port: 0 } }) });
}
