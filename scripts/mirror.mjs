/**
 * Bundles the Terraform provider into one file and lays out a filesystem mirror that `terraform init` installs it from:
 * `dist/mirror/HOST/spillway/spillway/VERSION/OS_ARCH/terraform-provider-spillway_vVERSION`.
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const HOSTS = ["registry.terraform.io", "registry.opentofu.org"];
/** The same file serves all: the system and the processor are Node's business. Windows has no `#!`. */
const PLATFORMS = ["linux_amd64", "linux_arm64", "darwin_amd64", "darwin_arm64"];
const OLDEST_NODE = 20;

/**
 * The first lines are shell and JavaScript at once. The shell looks for node, and says what is missing in the only line that
 * Terraform would show. `require` makes it CommonJS wherever it is installed: inside a project of `"type": "module"` too.
 */
function header(name) {
  const missing = `the provider ${name} needs Node.js ${OLDEST_NODE} or later on PATH, and there is no node`;
  const old = `the provider ${name} needs Node.js ${OLDEST_NODE} or later on PATH, and there is `;
  const load = `require(require("path").resolve(process.argv[1]))`;
  return [
    "#!/bin/sh",
    `':' //; command -v node >/dev/null 2>&1 && exec node -e '${load}' -- "$0"; echo '${missing}'; exit 1`,
    `"use strict";`,
    `if (parseInt(process.versions.node, 10) < ${OLDEST_NODE}) { console.log(${JSON.stringify(old)} + process.version); process.exit(1); }`,
  ].join("\n");
}

/** Code that a provider never runs, but that would have to be read at every start. */
const leaveOut = {
  name: "leave-out",
  setup(build) {
    build.onResolve({ filter: /^@grpc\/proto-loader$/ }, ({ path }) => ({ path, namespace: "left-out" }));
    build.onLoad({ filter: /.*/, namespace: "left-out" }, () => ({ contents: "module.exports = {};" }));
  },
};

/** What only few runs need lies in a file of its own, so that every start need not read it: the clients of AWS. */
const BESIDE = "aws-sdk.cjs";

/** Takes the clients of AWS out of a bundle; they are asked for by name when they are needed. */
const leaveBeside = (clients) => ({
  name: "leave-beside",
  setup(build) {
    build.onResolve({ filter: /^@aws-sdk\/client-/ }, ({ path }) => {
      clients.add(path);
      return { path, namespace: "beside" };
    });
    build.onLoad({ filter: /.*/, namespace: "beside" }, ({ path }) => ({
      contents: `const beside = require("path").join(__dirname, ${JSON.stringify(BESIDE)});
        module.exports = require(beside)[${JSON.stringify(path)}]();`,
    }));
  },
});

/** Those clients, each loaded when it is asked for. */
async function bundleBeside({ root, clients }) {
  const names = [...clients]
    .sort()
    .map((name) => `${JSON.stringify(name)}: () => require(${JSON.stringify(name)})`);
  const result = await esbuild.build({
    stdin: { contents: `module.exports = { ${names.join(", ")} };`, resolveDir: root },
    ...{ bundle: true, write: false, platform: "node", target: `node${OLDEST_NODE}`, format: "cjs" },
    ...{ legalComments: "inline", logLevel: "warning", minifySyntax: true, minifyWhitespace: true },
  });
  return result.outputFiles[0].text;
}

/**
 * Bundles the main file of a provider into the text of one executable file. Not minified: Terraform shows it when it crashes.
 * @param {{ root: string, entry: string, name: string }} options
 * @returns {Promise<string>}
 */
export async function bundleProvider(options) {
  return (await bundleWhole(options)).text;
}

/** The same with the files that must lie beside it: their texts by name. */
async function bundleWhole({ root, entry, name }) {
  const clients = new Set();
  const result = await esbuild.build({
    entryPoints: [entry],
    absWorkingDir: root,
    bundle: true,
    write: false,
    platform: "node",
    target: `node${OLDEST_NODE}`,
    format: "cjs",
    legalComments: "inline",
    logLevel: "warning",
    plugins: [leaveOut, leaveBeside(clients)],
  });
  const text = `${header(name)}\n${result.outputFiles[0].text}`;
  return { text, beside: clients.size > 0 ? { [BESIDE]: await bundleBeside({ root, clients }) } : {} };
}

/**
 * Puts an executable where `terraform init` looks for a provider. Several may do so at the same time.
 * @param {{ directory: string, source: string, version: string, text: string, beside?: Record<string, string>, hosts?: string[], platforms?: string[] }} options
 * @returns {string[]} the executable files
 */
export function layOutMirror(options) {
  const { directory, source, version, text, beside = {}, hosts = HOSTS, platforms = PLATFORMS } = options;
  const type = source.split("/").at(-1);
  const files = hosts.flatMap((host) =>
    platforms.map((platform) =>
      join(directory, host, source, version, platform, `terraform-provider-${type}_v${version}`),
    ),
  );
  for (const file of files) {
    for (const [name, content] of Object.entries(beside))
      writeWhole(join(dirname(file), name), content, 0o644);
    writeWhole(file, text, 0o755);
  }
  return files;
}

/** Leaves a file that is right already alone: a Terraform that runs at this moment compares it with its lock file. */
function writeWhole(file, text, mode) {
  if (existsSync(file) && readFileSync(file, "utf8") === text && (statSync(file).mode & 0o777) === mode)
    return;
  mkdirSync(dirname(file), { recursive: true });
  // Not beside it: everything in the package's own directory counts for its checksum.
  const making = join(
    dirname(dirname(file)),
    `.making-${process.pid}-${Math.random().toString(36).slice(2)}`,
  );
  writeFileSync(making, text);
  chmodSync(making, mode);
  renameSync(making, file);
}

/**
 * Builds the mirror of Spillway's own provider in `dist/mirror`.
 * @param {{ root: string, quiet?: boolean }} options
 */
export async function buildMirror({ root, quiet = false }) {
  const entry = join(root, "providers", "terraform", "main.ts");
  if (!existsSync(entry)) return;
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const { text, beside } = await bundleWhole({ root, entry, name: "spillway" });
  layOutMirror({
    directory: join(root, "dist", "mirror"),
    source: "spillway/spillway",
    version,
    text,
    beside,
  });
  if (!quiet)
    console.log(`built the provider ${version} (${Math.round(text.length / 1000)} kB) into dist/mirror/`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await buildMirror({ root: join(dirname(fileURLToPath(import.meta.url)), "..") });
}
