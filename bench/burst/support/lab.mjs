import { createRequire } from "node:module";

const built = createRequire(new URL("../../../dist/package.json", import.meta.url));

/** Two data centers, a name server and users, as examples/datacenter lays them out, without its Prometheus. */
export function layOutLab(options = {}) {
  const { layOut } = built("./examples/datacenter/lab");
  return layOut({ ...options, prometheus: false });
}
