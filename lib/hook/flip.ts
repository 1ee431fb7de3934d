import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readParameters, renderParameters, writeParameters, type DesiredParameters } from "../desired";
import { SpillwayError } from "../errors";
import type { BurstManifest } from "./manifest";

/** The parameters file of one burst: the only thing that the hook ever changes itself. */
export class ParametersFile {
  constructor(
    /** Absolute path. */
    readonly path: string,
    private readonly manifest: Pick<BurstManifest, "name" | "variable" | "onPrem" | "cloud">,
  ) {}

  /** @throws SpillwayError or SpillwayErrors with what is wrong in it, and where */
  read(): DesiredParameters {
    const parameters = readParameters(this.path, [this.manifest])[this.manifest.variable];
    if (parameters) return parameters;
    throw new SpillwayError({
      place: this.path,
      problem: `the parameters of burst ${this.manifest.name} are not in it: there is no "${this.manifest.variable}"`,
      mend: "Synthesise again, or restore the file from version control.",
    });
  }

  /** Replaces the burst's parameters at once and whole, and leaves everything else in the file alone. */
  write(parameters: DesiredParameters): void {
    writeParameters(this.path, { [this.manifest.variable]: parameters });
  }

  /** The text the file would have with other parameters. */
  render(parameters: DesiredParameters): string {
    return renderParameters(readFileSync(this.path, "utf8"), this.path, {
      [this.manifest.variable]: parameters,
    });
  }

  /** Writes that text elsewhere, for a plan that is to be judged before anything changes. */
  writeCandidate(folder: string, parameters: DesiredParameters): string {
    const file = join(folder, "candidate.tfvars.json");
    writeFileSync(file, this.render(parameters), { mode: 0o600 });
    return file;
  }
}
