import { execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { quietParameters, writeParameters } from "../../lib/desired";
import { SpillwayError, messageOf } from "../../lib/errors";
import { PACKAGE_ROOT } from "../version";

/** The program that the demo runs: `examples/shop`, as it stands in this package. */
const SHOP = join(PACKAGE_ROOT, "dist", "examples", "shop", "main.js");

/** Lays out a project folder for the shop: what `git clone` would bring, and the parameters in their quiet state. */
export function layOutProject(dir: string, burst: string): { readonly parametersFile: string } {
  mkdirSync(join(dir, "desired"), { recursive: true });
  writeFileSync(
    join(dir, "cdktf.json"),
    `${JSON.stringify({ language: "typescript", app: `node ${SHOP}` }, null, 2)}\n`,
  );
  const parametersFile = join(dir, "desired", `${burst}.tfvars.json`);
  writeParameters(parametersFile, { [burst]: quietParameters({ onPremSite: "onprem", cloudMembers: 1 }) });
  return { parametersFile };
}

/**
 * Synthesises the shop into `cdktf.out` of `dir`.
 * @throws SpillwayError with the program's own words
 */
export async function synthesise(dir: string): Promise<void> {
  try {
    await promisify(execFile)(process.execPath, [SHOP], { cwd: dir, timeout: 60_000 });
  } catch (error) {
    const words = (error as { stderr?: string }).stderr?.trim().split("\n").slice(-5).join(" | ");
    throw new SpillwayError(
      {
        place: SHOP,
        problem: `the program could not be synthesised: ${words || messageOf(error)}`,
        mend: "Run it by hand in that folder to see all it says.",
      },
      { cause: error },
    );
  }
}
