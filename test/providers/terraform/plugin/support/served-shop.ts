import { serveReattach, type ReattachedProvider } from "../../../../../providers/terraform/plugin";
import { shop } from "./shop-provider";
import { Workspace } from "./terraform";

/** The shop, served inside the test, with new workspaces for it. Set up and taken down by the suite that calls it. */
export function servedShop(): {
  workspace: () => Workspace;
  provider: () => ReattachedProvider;
  logs: string[];
} {
  let served: ReattachedProvider;
  const workspaces: Workspace[] = [];
  const logs: string[] = [];
  beforeAll(async () => {
    served = await serveReattach(shop, {
      source: "test/shop",
      log: (level, message) => void logs.push(`${level} ${message}`),
    });
  });
  afterAll(() => served.close());
  afterEach(() => {
    for (const workspace of workspaces.splice(0)) workspace.remove();
  });
  return {
    logs,
    provider: () => served,
    workspace: () => {
      const workspace = new Workspace({ TF_REATTACH_PROVIDERS: served.reattachConfig });
      workspaces.push(workspace);
      return workspace;
    },
  };
}
