import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ROOT = join(__dirname, "..", "..", "..", "..", "..");

export interface ProviderMirror {
  readonly directory: string;
  /** The executable of this machine. */
  readonly executable: string;
  /** The CLI configuration that points to it. */
  readonly cliConfig: string;
  remove(): void;
}

/** A provider as an executable in a filesystem mirror, made by the very functions that make the real one. */
export function providerMirror(provider: { entry: string; source: string; version: string }): ProviderMirror {
  const { entry, source, version } = provider;
  const directory = mkdtempSync(join(tmpdir(), "provider-mirror-"));
  const platform = `${process.platform}_${process.arch === "x64" ? "amd64" : process.arch}`;
  const options = {
    bundle: { root: ROOT, entry, name: source.split("/")[1] },
    layOut: { directory, source, version, platforms: [platform] },
  };
  // jest cannot load the module itself: it is an ECMAScript module, and jest runs CommonJS.
  const script = `
    import { bundleProvider, layOutMirror } from ${JSON.stringify(join(ROOT, "scripts", "mirror.mjs"))};
    const { bundle, layOut } = JSON.parse(process.argv[1]);
    const files = layOutMirror({ ...layOut, text: await bundleProvider(bundle) });
    console.log(files[0]);
  `;
  const executable = execFileSync(
    process.execPath,
    ["--input-type=module", "-e", script, JSON.stringify(options)],
    { encoding: "utf8", cwd: ROOT },
  ).trim();
  const cliConfig = join(directory, "terraform.rc");
  writeFileSync(
    cliConfig,
    `provider_installation {\n  filesystem_mirror {\n    path = ${JSON.stringify(directory)}\n  }\n}\n`,
  );
  return {
    directory,
    executable,
    cliConfig,
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}
