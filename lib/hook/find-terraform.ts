import { execFile } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";
import { promisify } from "node:util";
import { SpillwayError, messageOf } from "../errors";

/** A Terraform or OpenTofu that can be used. */
export interface TerraformTool {
  readonly name: "terraform" | "tofu";
  /** Absolute path. */
  readonly binary: string;
  /** `1.11.4` */
  readonly version: string;
}

/** Provider functions came with these. */
const OLDEST = { terraform: [1, 8], tofu: [1, 7] } as const;
const HOW_TO_GET =
  "Install Terraform 1.8 or newer (or OpenTofu 1.7 or newer) and put it on PATH, or name it in SPILLWAY_TERRAFORM.";

/**
 * Terraform on PATH, or OpenTofu where Terraform is missing or too old. `SPILLWAY_TERRAFORM` (or `binary`) names one outright.
 * @throws SpillwayError saying what is missing or too old, and how to get it
 */
export async function findTerraform(
  environment: NodeJS.ProcessEnv = process.env,
  binary: string | undefined = environment.SPILLWAY_TERRAFORM,
): Promise<TerraformTool> {
  if (binary !== undefined && binary !== "") return named(binary, environment);
  const rejected: string[] = [];
  for (const name of ["terraform", "tofu"] as const) {
    const found = onPath(name, environment);
    if (found === undefined) continue;
    const tool = await inspect(found, environment);
    if (tool && isNewEnough(tool)) return tool;
    rejected.push(tool ? `${found} is version ${tool.version}` : `${found} does not say its version`);
  }
  throw new SpillwayError({
    place: "PATH",
    problem:
      rejected.length === 0
        ? "neither `terraform` nor `tofu` is on PATH"
        : `no Terraform that is new enough is on PATH: ${rejected.join(", ")}`,
    mend: HOW_TO_GET,
  });
}

async function named(binary: string, environment: NodeJS.ProcessEnv): Promise<TerraformTool> {
  const found = isAbsolute(binary) || binary.includes("/") ? binary : onPath(binary, environment);
  const refuse = (problem: string) => new SpillwayError({ place: binary, problem, mend: HOW_TO_GET });
  if (found === undefined || !isExecutable(found)) throw refuse("there is no such program");
  const tool = await inspect(found, environment);
  if (!tool) throw refuse("this program does not answer `version -json` as Terraform does");
  if (!isNewEnough(tool)) throw refuse(`this ${tool.name} is version ${tool.version}, which is too old`);
  return tool;
}

function onPath(name: string, environment: NodeJS.ProcessEnv): string | undefined {
  const suffix = process.platform === "win32" ? ".exe" : "";
  return (environment.PATH ?? "")
    .split(delimiter)
    .filter((folder) => folder !== "")
    .map((folder) => join(folder, `${name}${suffix}`))
    .find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

async function inspect(binary: string, environment: NodeJS.ProcessEnv): Promise<TerraformTool | undefined> {
  try {
    const { stdout } = await promisify(execFile)(binary, ["version", "-json"], {
      env: { ...environment, CHECKPOINT_DISABLE: "1", TF_CLI_ARGS: "", TF_CLI_ARGS_version: "" },
      timeout: 20_000,
    });
    const { terraform_version: version } = JSON.parse(stdout) as { terraform_version?: unknown };
    if (typeof version !== "string" || !/^\d+\.\d+/.test(version)) return undefined;
    return { name: /tofu[^/\\]*$/.test(binary) ? "tofu" : "terraform", binary, version };
  } catch (error) {
    if ((error as { killed?: boolean }).killed !== true) return undefined;
    throw new SpillwayError({
      place: binary,
      problem: `\`version\` did not end within 20 s: ${messageOf(error)}`,
      mend: "See what holds it up by running it by hand.",
    });
  }
}

function isNewEnough(tool: TerraformTool): boolean {
  const [major = 0, minor = 0] = tool.version.split(".").map(Number);
  const [oldMajor, oldMinor] = OLDEST[tool.name];
  return major > oldMajor || (major === oldMajor && minor >= oldMinor);
}
