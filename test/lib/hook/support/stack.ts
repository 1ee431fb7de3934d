import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DesiredParameters } from "../../../../lib/desired";
import type { BurstManifest, BurstPolicy, HookDirectories } from "../../../../lib/hook";

export const QUIET: DesiredParameters = {
  burst: false,
  cloud_members: 1,
  weights: { onprem: 100 },
  image_digest: null,
  reason: "quiet",
};

export const POLICY: BurstPolicy = {
  burstAbove: 0.8,
  homeBelow: 0.5,
  confirmations: 2,
  homeAfterMs: 400,
  minimumStayMs: 400,
  targetUtilisation: 0.7,
  minCloudMembers: 1,
  maxCloudMembers: 8,
  launchEstimateMs: 100,
  intervalMs: 100,
};

export const MANIFEST: BurstManifest = {
  version: 1,
  name: "shop",
  variable: "shop",
  parametersFile: "desired/shop.tfvars.json",
  onPrem: { site: "onprem", pool: "shop", memberCapacityRps: 100, members: 4 },
  cloud: { site: "cloud", pool: "shop", memberCapacityRps: 100, members: 8 },
  sites: { onprem: { endpoint: "http://127.0.0.1:1" }, cloud: { endpoint: "http://127.0.0.1:2" } },
  record: { name: "shop.example.test", ttlSeconds: 2, nameServerSite: "onprem" },
  addresses: {
    replica: "terraform_data.replica",
    pool: "terraform_data.pool",
    gate: "terraform_data.gate",
    record: "terraform_data.record",
  },
  policy: POLICY,
};

export interface StackOptions {
  /** Seconds that gate and pool take to go (a local-exec that a Ctrl-C stops). */
  readonly drainSeconds?: number;
  /** Seconds that the pool takes to come. */
  readonly launchSeconds?: number;
  /** More HCL. */
  readonly more?: string;
  /** @default true */
  readonly createBeforeDestroy?: boolean;
}

export interface Project {
  readonly directories: HookDirectories;
  readonly parametersFile: string;
  /** Each resource's coming and going, one line each. */
  readonly log: string;
  remove(): void;
}

/** A whole project of plain HCL in a folder of its own: the burst's chain, made of `terraform_data`. */
export function makeProject(options: StackOptions = {}): Project {
  const project = mkdtempSync(join(tmpdir(), "spillway-hook-"));
  const log = join(project, "what-happened.log");
  mkdirSync(join(project, "desired"));
  const parametersFile = join(project, MANIFEST.parametersFile);
  writeFileSync(parametersFile, `${JSON.stringify({ shop: QUIET }, null, 2)}\n`);
  writeFileSync(join(project, "main.tf"), hcl(log, options));
  const { name, ...rest } = MANIFEST;
  writeFileSync(join(project, "spillway.json"), JSON.stringify({ bursts: { [name]: rest } }));
  return {
    directories: { project, stack: project },
    parametersFile,
    log,
    remove: () => rmSync(project, { recursive: true, force: true }),
  };
}

function hcl(log: string, options: StackOptions): string {
  const order =
    options.createBeforeDestroy === false ? "" : "lifecycle {\n    create_before_destroy = true\n  }";
  const exec = (what: string, seconds: number, when = "") => `
  provisioner "local-exec" {
    ${when}
    command = "sleep ${seconds} && echo ${what} >> ${log}"
  }`;
  return `
variable "shop" {
  type = object({
    burst         = bool
    cloud_members = number
    weights       = map(number)
    image_digest  = optional(string)
    reason        = string
  })
}
resource "terraform_data" "replica" {
  count = var.shop.burst ? 1 : 0
  ${order}
}
resource "terraform_data" "pool" {
  count = var.shop.burst ? 1 : 0
  input = { members = var.shop.cloud_members, replica = terraform_data.replica[0].id }
  ${exec("pool-launched", options.launchSeconds ?? 0)}
  ${exec("pool-gone", 0, "when = destroy")}
  ${order}
}
resource "terraform_data" "gate" {
  count = var.shop.burst ? 1 : 0
  input = terraform_data.pool[0].id
  ${exec("gate-gone", options.drainSeconds ?? 0, "when = destroy")}
  ${order}
}
resource "terraform_data" "record" {
  input = {
    weights = var.shop.weights
    gate    = var.shop.burst ? terraform_data.gate[0].id : "none"
  }
}
output "shop" {
  value = var.shop
}
${options.more ?? ""}
`;
}
