import { join } from "node:path";
import type { PoolSpec } from "../api";
import { StateFile } from "./state-file";

/** The pools that an agent with this state directory has been told of, whether it runs or not; none where there is no state. */
export async function declaredPools(
  stateDir: string,
): Promise<readonly { readonly name: string; readonly spec: PoolSpec }[]> {
  const { state } = await StateFile.open(join(stateDir, "state.json"));
  return Object.values(state.pools).map(({ name, spec }) => ({ name, spec }));
}
