/**
 * Spillway's own run: how the agent is started, what the command line is, and where the image arrives. Everything that the bench
 * knows of Spillway is in this file.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { listening } from "../support/ssh.mjs";
import { sameFile, sameInUse } from "../support/verify.mjs";
import { FAR_ADDRESS } from "../support/wan.mjs";

const PORT = 7501;
const SITE = "cloud";
/** A file of this repository. */
export const program = (path) => fileURLToPath(new URL(`../../../${path}`, import.meta.url));

/** The command that pushes `source`. */
function pushCommand({ source, endpoint, tokenFile, caFile, exact }) {
  const how = ["--token-file", tokenFile, "--ca-file", caFile, ...(exact ? ["--exact"] : [])];
  return [program("dist/cli/main.js"), "image", "push", source, endpoint, ...how];
}

function agentCommand({ stateDir, tokenFile, certificate, key }) {
  const tls = ["--tls-cert", certificate, "--tls-key", key];
  const listen = ["--listen", `${FAR_ADDRESS}:${PORT}`];
  return [
    program("dist/cli/main.js"),
    "agent",
    "--site",
    SITE,
    "--state",
    stateDir,
    "--token-file",
    tokenFile,
    ...listen,
    ...tls,
  ];
}

/** An agent at the far side that can be started, killed and started again, and pushes to it. */
export function openSite({ far, directory }) {
  const { certificate, key } = makeCertificate(directory);
  const tokenFile = join(directory, "token");
  writeFileSync(tokenFile, "a-token-for-this-bench-only\n", { mode: 0o600 });
  const stateDir = join(directory, "site");
  const cache = join(directory, "cache");
  const endpoint = `https://${FAR_ADDRESS}:${PORT}`;
  let agent;
  return {
    stateDir,
    async start() {
      agent = far.start(process.execPath, agentCommand({ stateDir, tokenFile, certificate, key }));
      await Promise.race([listening(agent.child.pid, PORT), agent.done]);
    },
    stop: (signal) => agent.stop(signal),
    /** Starts a push from a side; `done` of what it returns is its end. */
    push(side, source, { exact = false } = {}) {
      const command = pushCommand({ source, endpoint, tokenFile, caFile: certificate, exact });
      // Where this near side keeps its indexes.
      return side.start(process.execPath, command, { env: { XDG_CACHE_HOME: cache } });
    },
    /** Paths of the images that are whole at the site. */
    images() {
      const store = join(stateDir, "images");
      if (!existsSync(store)) return [];
      return readdirSync(store)
        .filter((name) => name.endsWith(".img"))
        .map((name) => join(store, name));
    },
    /** What it learned of the link while it was given what it holds: that was no WAN. */
    forgetLink: () => rmSync(join(stateDir, "images", "link.json"), { force: true }),
  };
}

export const spillway = {
  name: "spillway",
  title: "spillway image push",
  requires: ["openssl"],
  async prepare({ near, far, directory, source, held, exact }) {
    const site = openSite({ far, directory });
    await site.start();
    if (held !== undefined) {
      await site.push(far, held, { exact }).done;
      await site.stop();
      site.forgetLink();
      await site.start();
    }
    const before = new Set(site.images());
    return {
      push: () => site.push(near, source, { exact }).done,
      async verify() {
        const arrived = site.images().filter((path) => !before.has(path));
        return { verified: arrived.length === 1 && (await arrivedRight(source, arrived[0], exact)) };
      },
    };
  },
};

/** Bit by bit is right for both; with the free blocks as zeros only where that was wanted. */
export async function arrivedRight(source, arrived, exact) {
  if (statSync(source).size !== statSync(arrived).size) return false;
  return (!exact && (await sameInUse(source, arrived))) || sameFile(source, arrived);
}

function makeCertificate(directory) {
  const [certificate, key] = [join(directory, "site.pem"), join(directory, "site.key")];
  const options = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const named = ["-subj", "/CN=bench", "-addext", `subjectAltName=IP:${FAR_ADDRESS}`, "-days", "2"];
  const made = spawnSync("openssl", [...options, ...named, "-keyout", key, "-out", certificate], {
    encoding: "utf8",
  });
  if (made.status !== 0) throw new Error(`openssl could not make a certificate: ${made.stderr}`);
  return { certificate, key };
}
