import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { which } from "./host.mjs";
import { FAR_ADDRESS } from "./wan.mjs";

/** Namespaces of the bench's own: the port is free. */
const PORT = 2222;

/**
 * An sshd at the far side, with a host key, a user key and a configuration of its own.
 * @returns {Promise<{rsh: string, host: string}>} the remote shell's command line, and whom to call
 */
export async function startSsh(far, directory) {
  const key = (name) => {
    const path = join(directory, name);
    const made = spawnSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", path], { encoding: "utf8" });
    if (made.status !== 0) throw new Error(`ssh-keygen: ${made.stderr}`);
    return path;
  };
  const [hostKey, userKey] = [key("host-key"), key("user-key")];
  const authorized = join(directory, "authorized-keys");
  copyFileSync(`${userKey}.pub`, authorized);
  chmodSync(authorized, 0o600);
  const lines = (values) => `${values.join("\n")}\n`;
  const config = join(directory, "sshd-config");
  writeFileSync(
    config,
    lines([
      `Port ${PORT}`,
      `ListenAddress ${FAR_ADDRESS}`,
      `HostKey ${hostKey}`,
      `AuthorizedKeysFile ${authorized}`,
      "PidFile none",
      "StrictModes no",
      "PermitRootLogin prohibit-password",
      "PasswordAuthentication no",
      "KbdInteractiveAuthentication no",
      // A locked root may only log in by way of PAM.
      `UsePAM ${/^root:!/m.test(readFileSync("/etc/shadow", "utf8")) ? "yes" : "no"}`,
      `SetEnv PATH=/usr/local/bin:/usr/bin:/bin BORG_BASE_DIR=${directory}`,
    ]),
  );
  const knownHosts = join(directory, "known-hosts");
  writeFileSync(knownHosts, `[${FAR_ADDRESS}]:${PORT} ${readFileSync(`${hostKey}.pub`, "utf8")}`);
  const client = join(directory, "ssh-config");
  writeFileSync(
    client,
    lines([
      `Port ${PORT}`,
      "User root",
      `IdentityFile ${userKey}`,
      "IdentitiesOnly yes",
      `UserKnownHostsFile ${knownHosts}`,
      "StrictHostKeyChecking yes",
      "Compression no",
      "LogLevel ERROR",
    ]),
  );
  if (!existsSync("/run/sshd")) mkdirSync("/run/sshd", { mode: 0o755 });
  const program = far.start(which("sshd"), ["-D", "-e", "-f", config]);
  await listening(program.child.pid, PORT);
  return { rsh: `ssh -F ${client}`, host: FAR_ADDRESS };
}

/** Waits until something listens at a port of the network namespace of a process. */
export async function listening(pid, port) {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, "0")} `;
  for (let tries = 0; tries < 200; tries++) {
    const sockets = ["tcp", "tcp6"].map((name) => readOr(`/proc/${pid}/net/${name}`)).join("\n");
    if (sockets.split("\n").some((line) => line.includes(wanted) && / 0A /.test(line))) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`nothing listens at port ${port} of the far side after 10 s`);
}

function readOr(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
