import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HaproxyBalancer } from "../../../../providers/haproxy";
import { startSite } from "../../../support/site";
import { describeWithHaproxy } from "../../haproxy/support/haproxy";
import { startOwnHaproxy } from "../../haproxy/support/own-haproxy";
import { Workspace, type Lab } from "./support/lab";
import { plain } from "./support/named-sites";

describeWithHaproxy("a pool at a site whose HAProxy cannot be told anything", () => {
  test("is refused by the plan, with what keeps it from being told", async () => {
    const root = mkdtempSync(join(tmpdir(), "spillway-broken-"));
    const own = await startOwnHaproxy("", "operator");
    const { socket, stateDir } = own;
    const site = await startSite({ balancedBy: new HaproxyBalancer({ stateDir, attach: { socket } }) });
    try {
      const work = await Workspace.of({ root } as Lab, "pool");
      work.write("main.tf.json", {
        terraform: { required_providers: { spillway: { source: "spillway/spillway" } } },
        provider: {
          spillway: { sites: { cloud: { endpoint: site.endpoint, token_file: site.tokenFile } } },
        },
        resource: {
          spillway_pool: {
            shop: {
              ...{ site: "cloud", name: "shop", members: 1, image_digest: `sha256:${"a".repeat(64)}` },
              listen: { address: "127.0.0.1", port: 8080 },
            },
          },
        },
      });
      const { code, text } = await work.planCode();
      expect(code).toBe(1);
      expect(plain(text)).toContain(
        "The socket has level `operator`, and members are added with level `admin` only",
      );
      expect(plain(text)).toContain("Say `level admin` on its `stats socket` line");
    } finally {
      await site.close();
      await own.end();
      rmSync(root, { recursive: true, force: true });
    }
  }, 30_000);
});
