import { join } from "node:path";
import type { SitePorts } from "../ports";
import { DirectoryLock } from "./directory-lock";
import { StateFile } from "./state-file";

/**
 * Ends everything that runs at a site whose agent is stopped: members, balancer and name server. Users that are still there are
 * cut off; it is the clean-up of a lab, not a way home.
 * @throws SpillwayError while the agent runs
 */
export async function endSite(options: {
  readonly stateDir: string;
  readonly ports: SitePorts;
}): Promise<void> {
  const { stateDir, ports } = options;
  const lock = await DirectoryLock.take(stateDir);
  try {
    const file = await StateFile.open(join(stateDir, "state.json"));
    await ports.balancer.stop();
    await ports.nameServer?.stop();
    const members = Object.values(file.state.pools).flatMap((pool) => pool.members);
    await Promise.all(
      members.map(({ id, handle }) =>
        ports.launcher.end(handle ?? { id, notes: {}, address: "", port: 0 }, 1_000),
      ),
    );
    file.state.pools = {};
    file.state.records = {};
    await file.save();
  } finally {
    await lock.release();
  }
}
