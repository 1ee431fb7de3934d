import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { siphonUsers } from "../../../lib/steps";
import { startAgent, type RunningAgent } from "../../../lib/site/agent";
import { SiteClient, SiteDirectory } from "../../../lib/site/client";
import { HaproxyBalancer } from "../../../providers/haproxy";
import { LocalLauncher } from "../../../providers/local/launcher";
import { ask, rawClient } from "../local/support/client";
import { startLoad } from "../../support/load";
import { allUp, makeImage, poolSpec, poolUntil, push, type TestSite } from "../../support/site";
import { describeWithHaproxy } from "./support/haproxy";

const TOKEN = "token-of-the-test-site-0123456789";

let root: string;
let agent: RunningAgent;
let site: TestSite;

/** The agent of a site whose local balancer is HAProxy. */
async function start(): Promise<void> {
  const [stateDir, tokenFile] = [join(root, "state"), join(root, "token")];
  writeFileSync(tokenFile, TOKEN, { mode: 0o600 });
  agent = await startAgent({
    site: "cloud",
    stateDir,
    listen: { host: "127.0.0.1", port: 0 },
    token: TOKEN,
    ports: { launcher: new LocalLauncher({ stateDir }), balancer: new HaproxyBalancer({ stateDir }) },
    log: () => undefined,
  });
  site = {
    site: "cloud",
    address: "127.0.0.1",
    endpoint: agent.endpoint,
    token: TOKEN,
    tokenFile,
    stateDir,
    client: new SiteClient("cloud", { endpoint: agent.endpoint, tokenFile }),
    log: () => "",
    close: () => agent.close(),
  };
}

describeWithHaproxy("a site whose balancer is HAProxy", () => {
  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), "spillway-haproxy-site-"));
    await start();
  });
  afterEach(async () => {
    await agent.close();
    await new HaproxyBalancer({ stateDir: site.stateDir }).stop();
    rmSync(root, { recursive: true, force: true });
  });

  test("launches, replaces members under load, outlives its agent, siphons its users off and comes down", async () => {
    const [one, two] = await Promise.all(["1", "2"].map((version) => makeImage({ dir: root, version })));
    await push(site, one);
    await push(site, two);
    const spec = await poolSpec(site, one, { affinity: "cookie" });
    await site.client.putPool("shop", spec);
    await poolUntil(site, "shop", allUp(2));
    const load = startLoad(site.address, spec.listen.port);
    await site.client.putPool("shop", { ...spec, image: two.digest });
    await poolUntil(
      site,
      "shop",
      (now) => allUp(2)(now) && now!.members.every(({ image }) => image === two.digest),
    );
    await agent.close();
    expect((await ask(spec.listen.port, "/")).status).toBe(200);
    await start();
    await poolUntil(site, "shop", allUp(2));
    expect((await load.stop()).failed).toEqual([]);
    await site.client.putGate("shop", { generation: "first", admittedAt: Date.now() });
    const kept = await rawClient(spec.listen.port);
    kept.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await kept.expect(/200 OK/);
    const seen: string[] = [];
    const siphoned = siphonUsers(
      new SiteDirectory({ cloud: { endpoint: site.endpoint, tokenFile: site.tokenFile } }),
      {
        site: "cloud",
        name: "shop",
        generation: "first",
        quietPeriodMs: 500,
        recordTtlMs: 0,
        onDeadline: "hold",
        deadlineMs: 15_000,
      },
      { signal: new AbortController().signal, progress: ({ message }) => seen.push(message) },
    );
    await new Promise((resolve) => setTimeout(resolve, 800));
    expect(seen.join("\n")).toMatch(/waiting for 1 session to leave/);
    kept.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await kept.closed;
    await siphoned;
    await site.client.deletePool("shop", "test");
    await poolUntil(site, "shop", (status) => status === undefined);
    await expect(ask(spec.listen.port, "/")).rejects.toThrow(/ECONNREFUSED/);
  });
});
