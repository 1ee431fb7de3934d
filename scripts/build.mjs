/**
 * Builds `dist/`: the JavaScript of lib, providers, cli and examples (always), the Terraform provider and its filesystem
 * mirror (always), and with `--types` the declarations.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, rmSync, writeFileSync, cpSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import * as esbuild from "esbuild";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const flags = new Set(process.argv.slice(2));
const quiet = flags.has("--quiet");

const sources = ["lib", "providers", "cli", "examples"].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .filter((file) => !/node_modules|cdktf\.out|\.test\.ts$|__snapshots__/.test(file)),
);
const modules = sources.filter((file) => file.endsWith(".ts") && !file.endsWith(".d.ts"));

if (flags.has("--clean")) rmSync(join(root, "dist"), { recursive: true, force: true });

await esbuild.build({
  entryPoints: modules,
  outdir: join(root, "dist"),
  outbase: root,
  platform: "node",
  target: "node20",
  format: "cjs",
  sourcemap: "linked",
  logLevel: "warning",
});
for (const asset of sources.filter((file) => /\.(json|ya?ml|proto|html|css|txt|csv|js)$/.test(file))) {
  cpSync(asset, join(root, "dist", relative(root, asset)));
}

const mirror = join(root, "scripts", "mirror.mjs");
if (existsSync(mirror)) await (await import(pathToFileURL(mirror).href)).buildMirror({ root, quiet });

if (flags.has("--types")) {
  execFileSync(
    process.execPath,
    [join(root, "node_modules", "typescript", "bin", "tsc"), "-p", join(root, "tsconfig.build.json")],
    {
      stdio: "inherit",
    },
  );
}
writeFileSync(join(root, "dist", ".built"), `${new Date().toISOString()}\n`);
if (!quiet) console.log(`built ${modules.length} modules into dist/`);
