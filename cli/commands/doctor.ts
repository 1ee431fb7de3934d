import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { findTerraform, loadManifest, type BurstManifest } from "../../lib/hook";
import { SiteDirectory } from "../../lib/site/client";
import { checkParts, findingsOf, loadAgentConfig } from "../agent";
import { missing, note, ok, type Finding } from "../doctor/check";
import * as machine from "../doctor/machine";
import { cloudPlatform } from "../observers";
import { EXIT, reportsOf, table } from "../output";

export interface DoctorOptions {
  readonly dir: string;
  readonly agentConfig?: string;
  readonly haproxyConfig?: string;
  readonly json?: boolean;
}

/** Looks at everything a burst needs, all of it, and says what is missing and how to get it. */
export async function run(options: DoctorOptions): Promise<number> {
  if (options.agentConfig === undefined) return tell(await machineAndProject(resolve(options.dir)), options);
  return tell(
    await checkParts(loadAgentConfig(options.agentConfig), { haproxyConfig: options.haproxyConfig }),
    options,
  );
}

async function machineAndProject(dir: string): Promise<Finding[]> {
  return [
    machine.node(),
    await terraform(),
    machine.cliConfig(),
    machine.providerMirror(),
    await machine.labAddresses(),
    machine.freeDisk(existsSync(dir) ? dir : process.cwd()),
    machine.congestionControl(),
    ...(await project(dir)),
  ].filter((finding): finding is Finding => finding !== undefined);
}

function tell(findings: readonly Finding[], options: DoctorOptions): number {
  const healthy = findings.every((finding) => finding.status !== "missing");
  if (options.json) process.stdout.write(`${JSON.stringify({ ok: healthy, findings })}\n`);
  else process.stdout.write(`${render(findings)}\n`);
  return healthy ? EXIT.ok : EXIT.failed;
}

async function terraform(): Promise<Finding> {
  try {
    const tool = await findTerraform();
    return ok(tool.name === "tofu" ? "OpenTofu" : "Terraform", `${tool.version} (${tool.binary})`);
  } catch (error) {
    return finding(missing, "Terraform", error);
  }
}

/** The burst declared here, if there is one: its manifest, and whether each site's agent answers with our token. */
async function project(dir: string): Promise<Finding[]> {
  let loaded: ReturnType<typeof loadManifest>;
  try {
    loaded = loadManifest(dir);
  } catch (error) {
    return [finding(note, "project", error)];
  }
  const sites = new SiteDirectory(loaded.manifest.sites);
  try {
    const agents = await Promise.all(
      sites.names.map(async (name) => {
        try {
          const context = await sites.get(name).context({ retryBudgetMs: 0, timeoutMs: 3_000 });
          const there = ok(`agent ${name}`, `${sites.get(name).endpoint}, ${context.pools.length} pools`);
          return [there, ...(await partsOf(sites, name))];
        } catch (error) {
          return [finding(missing, `agent ${name}`, error), ...(await partsOf(sites, name))];
        }
      }),
    );
    const platform = await platformOf(loaded.manifest);
    return [
      ok("project", `burst ${loaded.manifest.name} in ${loaded.directories.stack}`),
      ...agents.flat(),
      ...platform,
    ];
  } finally {
    sites.close();
  }
}

/** Whether a cloud without an agent can be seen with the credentials that there are. */
async function platformOf(manifest: BurstManifest): Promise<Finding[]> {
  const platform = await cloudPlatform(manifest);
  if (!platform) return [];
  const name = `cloud ${manifest.cloud.site}`;
  const signal = AbortSignal.timeout(20_000);
  try {
    const { members, membersUp } = await platform.look(signal);
    const weights = await platform.weights(signal);
    const record = weights === undefined ? "its record's weights are not seen" : "its record is seen";
    return [ok(name, `${membersUp} of ${members} members up, ${record}`)];
  } catch (error) {
    return [finding(missing, name, error)];
  } finally {
    platform.close();
  }
}

/** What an agent's parts lack, and kinds that are not the embedded ones. Of one that cannot be asked enough was said. */
async function partsOf(sites: SiteDirectory, name: string): Promise<Finding[]> {
  try {
    const { parts } = await sites.get(name).parts({ retryBudgetMs: 0, timeoutMs: 10_000 });
    return parts
      .filter(({ kind }) => kind !== "embedded" && kind !== "process")
      .flatMap((part) => findingsOf(part, `agent ${name}: ${part.part}`));
  } catch {
    return [];
  }
}

function finding(status: typeof missing, name: string, error: unknown): Finding {
  const reports = reportsOf(error);
  const all = (part: "problem" | "mend") => [...new Set(reports.map((report) => report[part]))];
  return status(name, all("problem").join("; "), all("mend").join(" ") || "Look at what it says.");
}

function render(findings: readonly Finding[]): string {
  const rows = findings.map(({ name, status, found }) => [status, name, found]);
  const mends = findings
    .filter((finding) => finding.mend)
    .map(({ status, name, mend }) => `${status}: ${name}: ${mend}`);
  return [table(rows), ...(mends.length > 0 ? ["", ...mends] : ["", "Nothing is missing."])].join("\n");
}
