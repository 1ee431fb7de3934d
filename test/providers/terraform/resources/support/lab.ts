import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SiteEvent } from "../../../../../lib/site/api";
import { serveReattach, type ReattachedProvider } from "../../../../../providers/terraform/plugin";
import { createProvider } from "../../../../../providers/terraform/resources";
import { freePort, makeImage, startSite, startSiteProcess } from "../../../../support/site";
import type { MadeImage, TestSite, TestSiteProcess } from "../../../../support/site";

/** Two sites with real agents, an image, and a folder for Terraform. Home has the name server. */
export interface Lab<S extends TestSite = TestSite> {
  readonly home: S;
  readonly cloud: S;
  readonly image: MadeImage;
  readonly root: string;
  /** At which pools listen, at both sites. */
  readonly port: number;
  close(): Promise<void>;
}

export function startLab(): Promise<Lab> {
  return labOf(startSite);
}

/** The agents are processes that can be killed. */
export function startLabOfProcesses(): Promise<Lab<TestSiteProcess>> {
  return labOf(startSiteProcess);
}

async function labOf<S extends TestSite>(start: (options: object) => Promise<S>): Promise<Lab<S>> {
  const root = mkdtempSync(join(tmpdir(), "spillway-lab-"));
  const image = await makeImage({ dir: join(root, "images") });
  const home = await start({ site: "onprem", address: "127.0.1.1", nameServer: true });
  const cloud = await start({ site: "cloud", address: "127.0.2.1" });
  const port = await freePort("127.0.2.1");
  return {
    ...{ home, cloud, image, root, port },
    close: async () => {
      await Promise.all(open.splice(0).map((provider) => provider.close()));
      await Promise.all([home.close(), cloud.close()]);
      rmSync(root, { recursive: true, force: true });
    },
  };
}

export interface Ended {
  readonly code: number | null;
  /** Both streams, as they came. */
  readonly text: string;
}

export interface RunningTerraform {
  readonly process: ChildProcess;
  readonly ended: Promise<Ended>;
  text(): string;
}

/** Providers that are being served, to be closed with the lab. */
const open: ReattachedProvider[] = [];

/** A folder that Terraform runs in, with our provider served by this process. */
export class Workspace {
  private constructor(
    readonly folder: string,
    private readonly environment: NodeJS.ProcessEnv,
  ) {}

  static async of(lab: Lab, name: string): Promise<Workspace> {
    const folder = join(lab.root, name);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "terraform.rc"), "disable_checkpoint = true\n");
    const patience = { timeoutMs: 2_000, retryBudgetMs: 1_500 };
    const provider = await serveReattach(createProvider({ directory: folder, patience }));
    open.push(provider);
    return new Workspace(folder, {
      ...process.env,
      TF_CLI_CONFIG_FILE: join(folder, "terraform.rc"),
      TF_REATTACH_PROVIDERS: provider.reattachConfig,
      TF_IN_AUTOMATION: "1",
      CHECKPOINT_DISABLE: "1",
      XDG_CACHE_HOME: join(lab.root, "cache"),
    });
  }

  write(name: string, content: string | object): void {
    writeFileSync(
      join(this.folder, name),
      typeof content === "string" ? content : JSON.stringify(content, null, 2),
    );
  }

  read(name: string): string {
    const file = join(this.folder, name);
    return existsSync(file) ? readFileSync(file, "utf8") : "";
  }

  start(...args: string[]): RunningTerraform {
    const child = spawn("terraform", [...args], { cwd: this.folder, env: this.environment });
    let text = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    }
    const ended = new Promise<Ended>((resolve) => child.once("close", (code) => resolve({ code, text })));
    return { process: child, ended, text: () => text };
  }

  run(...args: string[]): Promise<Ended> {
    return this.start(...args).ended;
  }

  /** @throws Error unless it ends well */
  async must(...args: string[]): Promise<string> {
    const { code, text } = await this.run(...args);
    if (code !== 0) throw new Error(`terraform ${args.join(" ")} ended with ${code}:\n${text}`);
    return text;
  }

  apply(...args: string[]): Promise<string> {
    return this.must("apply", "-auto-approve", "-no-color", "-input=false", ...args);
  }

  /** Until Terraform itself has printed something that matches. */
  static async printed(running: RunningTerraform, what: RegExp, deadlineMs = 20_000): Promise<void> {
    const until = Date.now() + deadlineMs;
    while (!what.test(running.text())) {
      if (Date.now() > until) throw new Error(`never printed ${what}:\n${running.text()}`);
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }

  /** 0: no change, 2: changes. */
  async planCode(...args: string[]): Promise<{ code: number | null; text: string }> {
    return this.run("plan", "-no-color", "-input=false", "-detailed-exitcode", ...args);
  }

  async state(): Promise<string[]> {
    const text = await this.must("state", "list");
    return text.split("\n").filter((line) => line !== "");
  }
}

/** What both sites did, in the order of time: `cloud pool-created shop`. */
export async function story(lab: Lab): Promise<string[]> {
  const all: (SiteEvent & { site: string })[] = [];
  for (const site of [lab.home, lab.cloud]) {
    const { events } = await site.client.events();
    all.push(...events.map((event) => ({ ...event, site: site.site })));
  }
  return all
    .sort((one, other) => one.at - other.at || one.seq - other.seq)
    .map(({ site, kind, subject }) => `${site} ${kind} ${subject}`);
}
