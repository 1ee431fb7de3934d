import { setFlagsFromString } from "node:v8";
import type { BalancerPool } from "../../../lib/site/ports";
import type { ControlAnswer, ControlRequest } from "../control";
import { argument, log, serveHelper } from "../helper-server";
import { Pools } from "./pools";

// Thousands of idle connections and a stream of short-lived requests: let the heap grow in small steps, or most of it is garbage.
setFlagsFromString("--heap-growing-percent=20");

/** The balancer's process: `node dist/providers/local/balancer/main.js --state-dir DIR`. */
async function main(): Promise<void> {
  const stateDir = argument("state-dir");
  if (stateDir === undefined) throw new Error("--state-dir is missing");
  let pools: Pools | undefined;
  await serveHelper({
    kind: "balancer",
    stateDir,
    begin: async (stateFile) => {
      pools = new Pools(stateFile, log);
      await pools.restore();
    },
    handle: (request) => handle(pools as Pools, request),
  });
}

async function handle(pools: Pools, { method, path, body }: ControlRequest): Promise<ControlAnswer> {
  const [kind, name] = path;
  if (kind !== "pools" || name === undefined) return { status: 404 };
  if (method === "PUT") {
    await pools.put(body as BalancerPool);
    return { status: 200 };
  }
  if (method === "DELETE") {
    await pools.remove(name);
    return { status: 200 };
  }
  const view = pools.view(name);
  return view === undefined ? { status: 404 } : { status: 200, body: view };
}

main().catch((error: unknown) => {
  log(String(error));
  process.exit(1);
});
