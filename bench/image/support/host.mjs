import { spawn, spawnSync } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { atEnd } from "./endings.mjs";

/** Debian's packages of the programs that are no part of every installation. */
const PACKAGES = {
  debootstrap: "debootstrap",
  "mkfs.ext4": "e2fsprogs",
  dumpe2fs: "e2fsprogs",
  e2image: "e2fsprogs",
  ip: "iproute2",
  gcc: "gcc libc6-dev",
  rsync: "rsync",
  borg: "borgbackup",
  zstd: "zstd",
  nc: "netcat-openbsd",
  ssh: "openssh-client",
  sshd: "openssh-server",
  "ssh-keygen": "openssh-client",
  unshare: "util-linux",
  nsenter: "util-linux",
  setpriv: "util-linux",
  cmp: "diffutils",
};

export function requireRoot(why) {
  if (process.getuid?.() !== 0) throw new Error(`The image bench needs root: ${why}. Run it with sudo.`);
}

/** Where a program is, or undefined; /usr/sbin is looked into as well. */
export function which(tool) {
  const path = `${process.env.PATH}:/usr/sbin:/sbin`;
  const found = spawnSync("/bin/sh", ["-c", `command -v ${tool}`], {
    encoding: "utf8",
    env: { ...process.env, PATH: path },
  });
  return found.status === 0 ? found.stdout.trim() : undefined;
}

/** @throws Error naming every one that is missing, with what to install */
export function requireTools(tools) {
  const missing = tools.filter((tool) => which(tool) === undefined);
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((tool) => PACKAGES[tool] ?? tool))];
  throw new Error(`Missing: ${missing.join(", ")}. Install with: apt-get install ${packages.join(" ")}`);
}

/**
 * Runs a shell script in mount and process namespaces of its own: when it ends or is killed, its mounts, loop devices and
 * processes are gone too.
 */
export async function inPrivateMounts(script, { directory, log }) {
  const out = openSync(log, "a");
  try {
    const child = spawn(
      "setpriv",
      [
        "--pdeathsig",
        "KILL",
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--",
        "/bin/bash",
        "-euo",
        "pipefail",
        "-c",
        script,
      ],
      {
        cwd: directory,
        env: {
          ...process.env,
          PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
          LC_ALL: "C",
          DEBIAN_FRONTEND: "noninteractive",
        },
        stdio: ["ignore", out, out],
      },
    );
    const stop = atEnd(() => child.kill("SIGKILL"));
    const code = await new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (status, signal) => resolve(status ?? signal));
    });
    stop();
    if (code !== 0) {
      const end = readFileSync(log, "utf8").trimEnd().split("\n").slice(-15).join("\n  ");
      throw new Error(`A step of the build ended with ${code}. Its last lines:\n  ${end}`);
    }
  } finally {
    closeSync(out);
  }
}
