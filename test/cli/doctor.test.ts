import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startSite, type TestSite } from "../support/site";
import { onlyJson, spillway, type SpillwayOptions } from "./support/spillway";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "spillway-doctor-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

interface Finding {
  readonly name: string;
  readonly status: string;
  readonly found: string;
  readonly mend?: string;
}

async function doctor(env: SpillwayOptions["env"] = {}) {
  const ended = await spillway(["doctor", "--json", "--dir", dir], { env });
  const { ok, findings } = onlyJson(ended) as { ok: boolean; findings: Finding[] };
  expect(ended.stderr).toBe("");
  expect(ended.code).toBe(ok ? 0 : 1);
  for (const { status, mend } of findings) if (status !== "ok") expect(mend).toMatch(/\w/);
  return { ok, of: (name: string) => findings.find((finding) => finding.name === name) };
}

/** A folder that stands in for PATH, with a program that answers `version -json`. */
function path(program?: string, version?: string): string {
  const bin = join(dir, "bin");
  mkdirSync(bin, { recursive: true });
  if (program) {
    const file = join(bin, program);
    writeFileSync(file, `#!/bin/sh\n/bin/echo '{"terraform_version":"${version}"}'\n`);
    chmodSync(file, 0o755);
  }
  return bin;
}

test("a machine that has what a burst needs is healthy, with or without a project", async () => {
  const { ok, of } = await doctor();
  expect(ok).toBe(true);
  expect(of("Node.js")).toMatchObject({ status: "ok", found: process.versions.node });
  expect(of("provider mirror")).toMatchObject({ status: "ok" });
  expect(of("project")).toMatchObject({ status: "note", mend: expect.stringContaining("spillway init") });
  if (process.platform === "linux")
    expect(of("TCP congestion control")?.found).toMatch(/^\w+: .*(1 to 4|up to 64)/);
});

test("no Terraform: it says so, where to look and how to get it", async () => {
  const { ok, of } = await doctor({ PATH: path() });
  expect(ok).toBe(false);
  expect(of("Terraform")).toEqual({
    name: "Terraform",
    status: "missing",
    found: "neither `terraform` nor `tofu` is on PATH",
    mend: expect.stringMatching(/Install Terraform 1\.8 or newer \(or OpenTofu 1\.7 or newer\).*PATH/),
  });
});

test("a Terraform that is too old: it says which, and what is new enough", async () => {
  const bin = path("terraform", "1.5.0");
  const { ok, of } = await doctor({ PATH: bin });
  expect(ok).toBe(false);
  expect(of("Terraform")?.found).toBe(
    `no Terraform that is new enough is on PATH: ${join(bin, "terraform")} is version 1.5.0`,
  );
  expect(of("Terraform")?.mend).toContain("1.8 or newer");
});

test("OpenTofu is taken where Terraform is missing or too old", async () => {
  path("terraform", "1.5.0");
  const { ok, of } = await doctor({ PATH: path("tofu", "1.9.1") });
  expect(ok).toBe(true);
  expect(of("OpenTofu")?.found).toBe(`1.9.1 (${join(dir, "bin", "tofu")})`);
});

test("a Terraform that was named and is not there is not looked for elsewhere", async () => {
  const { ok, of } = await doctor({ SPILLWAY_TERRAFORM: join(dir, "nowhere") });
  expect(ok).toBe(false);
  expect(of("Terraform")?.found).toBe("there is no such program");
});

test("TF_CLI_CONFIG_FILE that names a missing file is noted: it is no hindrance", async () => {
  const { ok, of } = await doctor({ TF_CLI_CONFIG_FILE: join(dir, "none.rc") });
  expect(ok).toBe(true);
  expect(of("TF_CLI_CONFIG_FILE")).toMatchObject({
    status: "note",
    found: expect.stringContaining(join(dir, "none.rc")),
    mend: expect.stringContaining("Unset it"),
  });
});

test("as text: every finding in a table, then what to do about each that is not well", async () => {
  const { code, stdout, stderr } = await spillway(["doctor", "--dir", dir], { env: { PATH: path() } });
  expect({ code, stderr }).toEqual({ code: 1, stderr: "" });
  expect(stdout).toMatch(/^missing {2}Terraform +neither `terraform`/m);
  expect(stdout).toMatch(/^missing: Terraform: Install Terraform/m);
  expect(stdout).toMatch(/^note: project: /m);
});

describe("in a project", () => {
  let site: TestSite;
  beforeAll(async () => {
    site = await startSite({ site: "cloud" });
  });
  afterAll(() => site?.close());

  function declare(cloud: object): void {
    const side = { pool: "shop", memberCapacityRps: 100, members: 1 };
    const burst = {
      ...{ version: 1, variable: "shop", parametersFile: "desired.tfvars.json" },
      onPrem: { site: "onprem", ...side },
      cloud: { site: "cloud", ...side },
      record: { name: "shop.example.test", ttlSeconds: 5, nameServerSite: "onprem" },
      addresses: { replica: "a.b", pool: "c.d", gate: "e.f", record: "g.h" },
      sites: { onprem: { endpoint: "http://127.0.0.1:9", tokenFile: site.tokenFile }, cloud },
      policy: {
        ...{ burstAbove: 0.8, homeBelow: 0.5, confirmations: 3, homeAfterMs: 1_000, minimumStayMs: 1_000 },
        ...{ targetUtilisation: 0.7, minCloudMembers: 1, maxCloudMembers: 4, launchEstimateMs: 1_000 },
        intervalMs: 1_000,
      },
    };
    writeFileSync(join(dir, "spillway.json"), JSON.stringify({ bursts: { shop: burst } }));
  }

  test("it asks every agent: one that answers, and one that is down, with what to start", async () => {
    declare({ endpoint: site.endpoint, tokenFile: site.tokenFile });
    const { ok, of } = await doctor();
    expect(ok).toBe(false);
    expect(of("project")).toMatchObject({ status: "ok", found: expect.stringContaining("burst shop") });
    expect(of("agent cloud")).toMatchObject({ status: "ok", found: `${site.endpoint}, 0 pools` });
    expect(of("agent onprem")).toMatchObject({
      status: "missing",
      found: expect.stringContaining("http://127.0.0.1:9: nothing listens there"),
      mend: expect.stringContaining("`spillway agent`"),
    });
  });

  test("a wrong token is named by its file, never by its word", async () => {
    const wrong = join(dir, "wrong.token");
    writeFileSync(wrong, "this-is-not-the-token\n");
    declare({ endpoint: site.endpoint, tokenFile: wrong });
    const { of } = await doctor();
    expect(of("agent cloud")).toMatchObject({ status: "missing", found: expect.stringContaining(wrong) });
    expect(JSON.stringify(of("agent cloud"))).not.toContain("this-is-not-the-token");
  });

  test("a manifest that is broken is told, all of it", async () => {
    writeFileSync(join(dir, "spillway.json"), JSON.stringify({ bursts: { shop: { version: 1 } } }));
    const { of } = await doctor();
    expect(of("project")?.found).toMatch(/^`variable` must be .*; `parametersFile` must be .*; /);
    expect(of("project")?.mend).toMatch(/^Synthesise again/);
  });
});
