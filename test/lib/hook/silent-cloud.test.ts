import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DesiredParameters } from "../../../lib/desired";
import { findTerraform, siteObserver, Terraform, type HookEvent } from "../../../lib/hook";
import { attempt } from "../../../lib/hook/attempt";
import { ParametersFile } from "../../../lib/hook/flip";
import { SiteDirectory } from "../../../lib/site/client";
import { serveReattach, type ReattachedProvider } from "../../../providers/terraform/plugin";
import { createProvider } from "../../../providers/terraform/resources";
import { burst } from "../../providers/terraform/resources/support/burst";
import { startLabOfProcesses, type Lab } from "../../providers/terraform/resources/support/lab";
import type { TestSiteProcess } from "../../support/site";
import { MANIFEST } from "./support/stack";

let lab: Lab<TestSiteProcess>;
let provider: ReattachedProvider;

beforeAll(async () => {
  lab = await startLabOfProcesses();
}, 60_000);

afterAll(async () => {
  await provider.close();
  await lab.close();
}, 60_000);

test("a cloud whose agent is dead leaves the answers by an apply that asks it nothing, and comes back by the next", async () => {
  // GIVEN a burst that is in force
  const project = join(lab.root, "project");
  mkdirSync(project);
  const parametersFile = join(project, "shop.tfvars.json");
  const out: DesiredParameters = {
    burst: true,
    cloud_members: 1,
    weights: { cloud: 50, onprem: 50 },
    image_digest: null,
    reason: "demand",
  };
  writeFileSync(join(project, "main.tf.json"), JSON.stringify(burst(lab)));
  writeFileSync(parametersFile, JSON.stringify({ shop: out }));
  const manifest = {
    ...MANIFEST,
    sites: Object.fromEntries(
      [lab.home, lab.cloud].map(({ site, endpoint, tokenFile }) => [site, { endpoint, tokenFile }]),
    ),
    record: { name: "shop.example.test", ttlSeconds: 1, nameServerSite: "onprem" },
    addresses: {
      replica: "spillway_image_replica.cloud",
      pool: "spillway_pool.cloud",
      gate: "spillway_gate.cloud",
      record: "spillway_global_record.shop",
    },
  };
  const patience = { timeoutMs: 1_000, retryBudgetMs: 500 };
  provider = await serveReattach(createProvider({ directory: project, patience }));
  const terraform = new Terraform({
    tool: await findTerraform(),
    directory: project,
    environment: {
      ...process.env,
      TF_CLI_CONFIG_FILE: "/dev/null",
      TF_REATTACH_PROVIDERS: provider.reattachConfig,
      XDG_CACHE_HOME: join(lab.root, "cache"),
    },
    scratch: project,
    lockTimeoutMs: 1_000,
    killAfterMs: 60_000,
  });
  const { signal } = new AbortController();
  const first = await terraform.plan(parametersFile, signal);
  await terraform.apply(first, signal);
  const sites = new SiteDirectory(manifest.sites);
  const observe = siteObserver({ manifest, sites, timeoutMs: 500 });
  const goTo = async (wanted: DesiredParameters) => {
    const observation = await observe(signal);
    const events: Omit<HookEvent, "at">[] = [];
    const outcome = await attempt({
      ...{ manifest, terraform, scratch: project, wanted, signal },
      parameters: new ParametersFile(parametersFile, manifest),
      observation: () => observation,
      emit: (event) => events.push(event),
      note: () => undefined,
    });
    return { outcome, events };
  };

  try {
    // WHEN its agent dies and the cloud is withdrawn
    await lab.cloud.kill();
    const withdrawn = await goTo({ ...out, weights: { onprem: 100 }, reason: "silent" });

    // THEN only the record changes
    expect(withdrawn.outcome).toEqual({ kind: "applied", changed: true });
    expect(withdrawn.events.find(({ kind }) => kind === "planned")).toMatchObject({ summary: "1 updated" });
    expect((await observe(signal)).recordWeights).toEqual({ onprem: 100 });

    // AND it comes back, with the members that served on
    await lab.cloud.restart();
    const back = await goTo({ ...out, reason: "back" });
    expect(back.outcome).toEqual({ kind: "applied", changed: true });
    expect(await observe(signal)).toMatchObject({
      cloud: { membersUp: 1 },
      recordWeights: { cloud: 50, onprem: 50 },
    });
  } finally {
    sites.close();
  }
}, 90_000);
