import { spawn, type ChildProcess } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildShopImage } from "../../cli/demo/image";
import { startLoad, type LoadOptions, type LoadTotals, type RunningLoad } from "../../cli/demo/load";
import { layOutProject, synthesise } from "../../cli/demo/project";
import { startLab, type Lab } from "../../cli/lab/lab";
import { readParameters, writeParameters } from "../../lib/desired";
import type { DesiredParameters } from "../../lib/desired/parameters";
import { findTerraform, type BurstPolicy } from "../../lib/hook";
import { SiteDirectory } from "../../lib/site/client";
import type { Progress } from "../../lib/wait";
import { sleep } from "../../lib/wait";
import { builtMirror, writeCliConfig } from "../../providers/terraform/cli-config";

export const QUIET: DesiredParameters = {
  burst: false,
  cloud_members: 2,
  weights: { onprem: 100 },
  image_digest: null,
  reason: "quiet",
};
export const OUT: DesiredParameters = {
  ...QUIET,
  burst: true,
  weights: { onprem: 50, cloud: 50 },
  reason: "by hand",
};

/** How one Terraform command ended. */
export interface Ended {
  readonly code: number | null;
  readonly output: string;
}

/** A Terraform command under way. */
export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
}

/**
 * A whole burst on this machine for tests: the lab, the shop synthesised, users at its name, and Terraform as a person runs it, which
 * starts the provider itself.
 */
export class Stage {
  readonly sites: SiteDirectory;
  private load: RunningLoad | undefined;
  private readonly crowds = new Set<RunningLoad>();

  private constructor(
    readonly dir: string,
    readonly lab: Lab,
    readonly parametersFile: string,
    private readonly binary: string,
    /** What Terraform is started with; a test may add to it. */
    readonly environment: NodeJS.ProcessEnv,
  ) {
    this.sites = new SiteDirectory(lab.info.sites);
  }

  /** Everything is up, and the quiet state is applied. */
  static async open(options: { linkMbps?: number; policy?: Partial<BurstPolicy> } = {}): Promise<Stage> {
    const dir = mkdtempSync(join(tmpdir(), "spillway-stage-"));
    const imagePath = join(dir, "shop.img");
    await buildShopImage({ path: imagePath, version: "v1", sizeBytes: 12_000_000 });
    const lab = await startLab({
      dir: join(dir, ".spillway"),
      imagePath,
      linkMbps: options.linkMbps ?? 20,
      policy: options.policy,
    });
    const { parametersFile } = layOutProject(dir, "shop");
    await synthesise(dir);
    // A provider that is built anew meanwhile would not fit the lock file any more.
    const mirror = join(dir, "mirror");
    cpSync(builtMirror(), mirror, { recursive: true });
    const config = writeCliConfig({ file: join(dir, "terraform.rc"), mirror });
    const environment = {
      ...process.env,
      TF_CLI_CONFIG_FILE: config,
      SPILLWAY_PROGRESS: join(dir, "progress.jsonl"),
      TF_IN_AUTOMATION: "1",
      CHECKPOINT_DISABLE: "1",
    };
    const { binary } = await findTerraform();
    const stage = new Stage(dir, lab, parametersFile, binary, environment);
    await stage.must("init", "-input=false");
    await stage.apply(QUIET);
    await stage.until("the members on premises are up", async () => (await stage.membersUp("onprem")) === 2);
    return stage;
  }

  async close(): Promise<void> {
    for (const load of [this.load, ...this.crowds]) await load?.stop().catch(() => undefined);
    this.sites.close();
    await this.lab.close();
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** Users that resolve, keep connections and cookies; `rps` requests a second until {@link usersGo}, unless `habits` say otherwise. */
  async usersCome(rps = 60, habits: Partial<LoadOptions> = {}): Promise<void> {
    this.load = await this.startUsers(rps, habits);
  }

  async usersGo() {
    const totals = await this.load!.stop();
    this.load = undefined;
    return totals;
  }

  /** More users beside the ones of {@link usersCome}. What is returned sends them home again. */
  async crowdComes(rps: number, habits: Partial<LoadOptions> = {}): Promise<() => Promise<LoadTotals>> {
    const crowd = await this.startUsers(rps, habits);
    this.crowds.add(crowd);
    return () => crowd.stop().finally(() => this.crowds.delete(crowd));
  }

  private startUsers(rps: number, habits: Partial<LoadOptions>): Promise<RunningLoad> {
    return startLoad({
      name: "shop.example.test",
      nameServer: this.lab.info.nameServer.endpoint,
      port: this.lab.info.port,
      sites: { onprem: this.lab.info.sites.onprem.address, cloud: this.lab.info.sites.cloud.address },
      curve: { stepMs: 1_000, rps: [rps, rps] },
      users: 30,
      ttlIgnoringFactor: 2,
      ...habits,
    });
  }

  get stackDir(): string {
    return join(this.dir, "cdktf.out", "stacks", "shop");
  }

  /** Starts Terraform in the stack, in a process group of its own. */
  start(...args: string[]): Running {
    const child = spawn(this.binary, args, {
      cwd: this.stackDir,
      env: this.environment,
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => (output += text));
    }
    const ended = new Promise<Ended>((resolve) => child.once("close", (code) => resolve({ code, output })));
    return { child, ended };
  }

  startApply(parameters: DesiredParameters): Running {
    writeParameters(this.parametersFile, { shop: parameters });
    return this.startApplyAsItIs();
  }

  /** Applies what the parameters file says. */
  startApplyAsItIs(): Running {
    return this.start(
      ...["apply", "-no-color", "-auto-approve", "-input=false", "-lock-timeout=30s"],
      `-var-file=${this.parametersFile}`,
    );
  }

  parameters(): DesiredParameters {
    return readParameters(this.parametersFile).shop;
  }

  async must(...args: string[]): Promise<string> {
    const { code, output } = await this.start(...args).ended;
    if (code !== 0) throw new Error(`terraform ${args[0]} ended with ${code}:\n${output}`);
    return output;
  }

  async apply(parameters: DesiredParameters): Promise<string> {
    const { code, output } = await this.startApply(parameters).ended;
    if (code !== 0) throw new Error(`terraform apply ended with ${code}:\n${output}`);
    return output;
  }

  /** The text of a plan that finds something to change; undefined when there is nothing. */
  async changes(): Promise<string | undefined> {
    const args = [
      "plan",
      "-no-color",
      "-detailed-exitcode",
      "-input=false",
      `-var-file=${this.parametersFile}`,
    ];
    const { code, output } = await this.start(...args).ended;
    if (code === 1) throw new Error(output);
    return code === 2 ? output : undefined;
  }

  /** What the provider said so far, whoever started it. */
  progress(): (Progress & { at: number })[] {
    try {
      return readFileSync(join(this.dir, "progress.jsonl"), "utf8")
        .split("\n")
        .filter((line) => line.endsWith("}"))
        .map((line) => JSON.parse(line) as Progress & { at: number });
    } catch {
      return [];
    }
  }

  async membersUp(site: string): Promise<number> {
    return (await this.sites.get(site).traffic("shop"))?.membersUp ?? 0;
  }

  async until(what: string, look: () => Promise<boolean> | boolean, deadlineMs = 30_000): Promise<void> {
    const deadline = Date.now() + deadlineMs;
    while (!(await look())) {
      if (Date.now() > deadline) throw new Error(`waited ${deadlineMs} ms until ${what}`);
      await sleep(20);
    }
  }

  /** Ids of the processes that run as members of a site, found in the system and not asked of anybody. */
  memberProcesses(site: string): number[] {
    const unpacked = join(this.lab.info.sites[site as "onprem" | "cloud"].stateDir, "unpacked");
    return processes((pid) => readlinkSync(`/proc/${pid}/cwd`).startsWith(unpacked));
  }

  /** Terraform commands that run in the stack, whoever started them, and providers that they started. */
  terraformProcesses(): number[] {
    return processes(
      (pid) =>
        /terraform|tofu/.test(readFileSync(`/proc/${pid}/cmdline`, "utf8")) &&
        readlinkSync(`/proc/${pid}/cwd`) === this.stackDir,
    );
  }

  /** Provider processes that this stage's Terraform commands started. */
  providerProcesses(): number[] {
    return processes(
      (pid) =>
        readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("terraform-provider-spillway") &&
        readlinkSync(`/proc/${pid}/cwd`) === this.stackDir,
    );
  }
}

function processes(matches: (pid: number) => boolean): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "utf8")) && matches(pid);
      } catch {
        // It ended while it was looked at.
        return false;
      }
    });
}
