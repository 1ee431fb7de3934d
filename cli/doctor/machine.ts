import { existsSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { formatBytes } from "../../lib/duration";
import { messageOf } from "../../lib/errors";
import * as bandwidth from "../../lib/image/bandwidth";
import { freePortAt } from "../lab/ports";
import { LAB_ADDRESSES } from "../lab/addresses";
import { PACKAGE_ROOT, VERSION } from "../version";
import { type Finding, missing, note, ok } from "./check";

const SMALLEST_NODE = 20;

export function node(): Finding {
  const major = Number(process.versions.node.split(".")[0]);
  return major >= SMALLEST_NODE
    ? ok("Node.js", process.versions.node)
    : missing(
        "Node.js",
        process.versions.node,
        `Install Node.js ${SMALLEST_NODE} or later: https://nodejs.org/`,
      );
}

/** The two sites of the lab are two loopback addresses; Linux has them all, macOS only 127.0.0.1. */
export async function labAddresses(): Promise<Finding> {
  const addresses = Object.values(LAB_ADDRESSES);
  try {
    await freePortAt(addresses);
    return ok("lab addresses", addresses.join(", "));
  } catch (error) {
    return note(
      "lab addresses",
      messageOf(error),
      `Only the lab and the demo need them. On macOS: ${addresses.map((address) => `sudo ifconfig lo0 alias ${address}`).join(" && ")}`,
    );
  }
}

/** The Terraform provider as `npm run build` lays it out for `terraform init`. */
export function providerMirror(): Finding {
  const directory = join(
    PACKAGE_ROOT,
    "dist",
    "mirror",
    "registry.terraform.io",
    "spillway",
    "spillway",
    VERSION,
  );
  return existsSync(directory)
    ? ok("provider mirror", `spillway/spillway ${VERSION}`)
    : missing("provider mirror", "not built", "Run: npm run build");
}

export function freeDisk(directory: string): Finding {
  const space = statfsSync(directory);
  const freeBytes = space.bavail * space.bsize;
  const name = "free disk";
  return freeBytes > 2e9
    ? ok(name, formatBytes(freeBytes))
    : note(
        name,
        formatBytes(freeBytes),
        "A site keeps each image whole, and a transfer beside it: make room for both.",
      );
}

/** How many streams fill a lossy link depends on it: one BBR flow does, cubic needs many. */
export function congestionControl(): Finding | undefined {
  const name = bandwidth.congestionControl();
  if (name === undefined) return undefined;
  return ok("TCP congestion control", `${name}: ${bandwidth.congestionControlMeans(name)}`);
}

/** A variable that names a missing file makes Terraform warn on every command. */
export function cliConfig(): Finding | undefined {
  const file = process.env.TF_CLI_CONFIG_FILE;
  if (!file || existsSync(file)) return undefined;
  return note(
    "TF_CLI_CONFIG_FILE",
    `names ${file}, which does not exist`,
    "Unset it or write the file. Spillway's own runs of Terraform do without it; yours print a warning each time.",
  );
}
