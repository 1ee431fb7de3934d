import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import * as http from "node:http";
import { join } from "node:path";
import type { DesiredParameters } from "../../../lib/desired";
import { loadManifest, runHook, siteObserver, type Observer } from "../../../lib/hook";
import { SiteDirectory } from "../../../lib/site/client";
import { sleep } from "../../../lib/wait";
import { serveReattach, type ReattachedProvider } from "../../../providers/terraform/plugin";
import { createProvider } from "../../../providers/terraform/resources";
import { burst, sitesOf } from "../../providers/terraform/resources/support/burst";
import { startLab, type Lab } from "../../providers/terraform/resources/support/lab";
import { MANIFEST, POLICY, QUIET } from "./support/stack";
import { attachedTerraform, Events } from "./support/world";

let lab: Lab;
let project: string;
let provider: ReattachedProvider;
let environment: NodeJS.ProcessEnv;

beforeAll(async () => {
  lab = await startLab();
  project = join(lab.root, "project");
  mkdirSync(join(project, "desired"), { recursive: true });
  writeFileSync(join(project, "main.tf.json"), JSON.stringify(burst(lab)));
  writeFileSync(join(project, "desired", "shop.tfvars.json"), JSON.stringify({ shop: QUIET }));
  const manifest = {
    ...MANIFEST,
    onPrem: { site: "onprem", pool: "shop", memberCapacityRps: 30, members: 1 },
    cloud: { site: "cloud", pool: "shop", memberCapacityRps: 30, members: 1 },
    sites: sitesFor(sitesOf(lab)),
    record: { name: "shop.example.test", ttlSeconds: 1, nameServerSite: "onprem" },
    addresses: {
      replica: "spillway_image_replica.cloud",
      pool: "spillway_pool.cloud",
      gate: "spillway_gate.cloud",
      record: "spillway_global_record.shop",
    },
    policy: { ...POLICY, maxCloudMembers: 2, homeAfterMs: 2_000, minimumStayMs: 1_000, intervalMs: 200 },
  };
  writeFileSync(join(project, "spillway.json"), JSON.stringify({ bursts: { shop: manifest } }));
  provider = await serveReattach(createProvider({ directory: project }));
  environment = {
    ...process.env,
    TF_CLI_CONFIG_FILE: "/dev/null",
    TF_REATTACH_PROVIDERS: provider.reattachConfig,
    XDG_CACHE_HOME: join(lab.root, "cache"),
  };
}, 60_000);

afterAll(async () => {
  await provider.close();
  await lab.close();
}, 60_000);

/** HCL's names of a site's entry, as the manifest has them. */
function sitesFor(sites: object): object {
  return Object.fromEntries(
    Object.entries(sites as Record<string, { endpoint: string; token_file: string }>).map(([name, site]) => [
      name,
      { endpoint: site.endpoint, tokenFile: site.token_file },
    ]),
  );
}

function parameters(): DesiredParameters {
  const text = readFileSync(join(project, "desired", "shop.tfvars.json"), "utf8");
  return (JSON.parse(text) as { shop: DesiredParameters }).shop;
}

/** Users who ask at a steady rate, each where the record's weights send them. */
class Users {
  rps = 4;
  failed = 0;
  weights: Readonly<Record<string, number>> = { onprem: 100 };
  private readonly stop = new AbortController();
  private asked = 0;
  readonly done: Promise<void>;

  constructor(private readonly port: number) {
    this.done = this.run();
  }

  async end(): Promise<void> {
    this.stop.abort();
    await this.done;
  }

  private async run(): Promise<void> {
    const asking = new Set<Promise<void>>();
    while (!this.stop.signal.aborted) {
      this.asked += 1;
      const cloud = this.weights.cloud ?? 0;
      const one = this.ask((this.asked * 37) % 100 < cloud ? "127.0.2.1" : "127.0.1.1").finally(() =>
        asking.delete(one),
      );
      asking.add(one);
      await sleep(1_000 / this.rps, this.stop.signal).catch(() => undefined);
    }
    await Promise.all(asking);
  }

  private ask(host: string): Promise<void> {
    return new Promise((resolve) => {
      const request = http.get({ host, port: this.port, agent: false }, (response) => {
        if (response.statusCode !== 200) this.failed += 1;
        response.resume().on("end", resolve);
      });
      request.on("error", () => {
        this.failed += 1;
        resolve();
      });
    });
  }
}

test("with real agents, members, users and our own provider: out and home, no request lost, the cloud empty afterwards", async () => {
  // GIVEN the quiet state, applied by hand
  const byHand = (...args: string[]) =>
    attachedTerraform(project, environment, ...args, "-var-file=desired/shop.tfvars.json");
  await byHand("apply", "-auto-approve");
  const { manifest, directories } = loadManifest(project);
  const sites = new SiteDirectory(manifest.sites);
  const users = new Users(lab.port);
  const events = new Events();
  const controller = new AbortController();
  const look = siteObserver({ manifest, sites });
  const observe: Observer = async (signal) => {
    const observation = await look(signal);
    users.weights = observation.recordWeights ?? users.weights;
    return observation;
  };
  const running = runHook({
    manifest,
    directories,
    mode: "apply",
    terraform: { environment },
    observe,
    signal: controller.signal,
    onEvent: events.push,
  });
  try {
    await events.until((event) => event.kind === "verified" && event.inForce);
    expect(events.of("observed").at(-1)?.observation).toMatchObject({
      onPrem: { reachable: true, members: 1, membersUp: 1, memberCapacityRps: 30 },
      cloud: { reachable: true, members: 0, membersUp: 0 },
      recordWeights: { onprem: 100 },
      replicaBytesLeft: lab.image.bytes,
      dnsTailMs: 1_000,
    });

    // WHEN demand rises THEN the cloud takes its share
    users.rps = 45;
    await events.until((event) => event.kind === "verified" && event.inForce && parameters().burst, 40_000);
    const [out] = events.of("flipped").filter((event) => event.parameters.burst);
    expect(out?.parameters.reason).toMatch(
      /^demand \d+ rps, .* > 80 % for \d observations: \d cloud members?$/,
    );
    const shared = events.all.length;
    await events.until(
      (event) => event.kind === "observed" && event.observation.cloud.demandRps > 0,
      20_000,
      shared,
    );

    // WHEN demand falls THEN everybody is home, and the cloud pool is gone
    users.rps = 4;
    await events.until(
      (event) => event.kind === "decided" && event.decision.phase === "quiet",
      60_000,
      shared,
    );
    expect(parameters()).toMatchObject({ burst: false, weights: { onprem: 100 } });
    expect(await lab.cloud.client.pool("shop")).toBeUndefined();
    expect(events.of("problem")).toEqual([]);
    expect(events.of("failed")).toEqual([]);
    expect(events.of("refused")).toEqual([]);
  } finally {
    controller.abort();
    await running;
    await users.end();
    sites.close();
  }
  expect(users.failed).toBe(0);
  expect(await byHand("plan")).toContain("No changes");
}, 120_000);

test("a site that is down is told as not reachable, the others as they are", async () => {
  const { manifest } = loadManifest(project);
  const away = { ...manifest.sites.cloud, endpoint: "http://127.0.0.1:9" };
  const sites = new SiteDirectory({
    ...manifest.sites,
    cloud: away as NonNullable<typeof manifest.sites.cloud>,
  });
  const observation = await siteObserver({ manifest, sites, timeoutMs: 500 })(new AbortController().signal);
  sites.close();
  expect(observation.cloud).toMatchObject({
    reachable: false,
    demandRps: 0,
    problem: expect.stringContaining("127.0.0.1:9"),
  });
  expect(observation.onPrem.reachable).toBe(true);
  expect(observation.demandRps).toBe(observation.onPrem.demandRps);
});

test("an observer that is stopped stops at once", async () => {
  const { manifest } = loadManifest(project);
  const sites = new SiteDirectory(manifest.sites);
  const controller = new AbortController();
  const looking = siteObserver({ manifest, sites })(controller.signal);
  controller.abort();
  await expect(looking).rejects.toThrow();
  sites.close();
});
