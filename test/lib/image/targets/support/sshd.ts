import { execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { sleep } from "../../../../../lib/wait";

const PROGRAM = ["/usr/sbin/sshd", "/usr/local/sbin/sshd"].find((path) => existsSync(path));
const IS_THERE = PROGRAM !== undefined && spawnSync("ssh", ["-V"]).status === 0;

/** Where OpenSSH is not installed these tests are left out, but not in CI. */
export const describeWithSshd = IS_THERE || process.env.CI ? describe : describe.skip;
if (!IS_THERE && !process.env.CI)
  process.stderr.write("no OpenSSH server here: its tests are left out (apt-get install openssh-server)\n");

/** The built command line, as the far side finds it. */
export const REMOTE_COMMAND = `${process.execPath} ${join(__dirname, "../../../../../dist/cli/main.js")}`;

/** A real sshd with keys of its own, for this user. */
export interface Sshd {
  readonly port: number;
  readonly user: string;
  /** `ssh` with a key that may log in and the right host key. */
  readonly rsh: string;
  /** The same with a key that may not. */
  readonly strangersRsh: string;
  /** The same, expecting another host key. */
  readonly wrongHostRsh: string;
  /** How many have logged in so far. */
  logins(): number;
  stop(): Promise<void>;
}

/** @param more lines of its configuration */
export async function startSshd(more: readonly string[] = []): Promise<Sshd> {
  if (!PROGRAM) throw new Error("sshd is missing: apt-get install openssh-server");
  const home = mkdtempSync(join(tmpdir(), "spillway-sshd-"));
  const path = (name: string) => join(home, name);
  for (const name of ["host", "user", "stranger", "other-host"])
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", path(name)]);
  writeFileSync(path("authorized"), readFileSync(path("user.pub")), { mode: 0o600 });
  const port = await freePort();
  for (const [file, key] of [
    ["known", "host.pub"],
    ["known-wrong", "other-host.pub"],
  ]) {
    writeFileSync(path(file), `[127.0.0.1]:${port} ${readFileSync(path(key), "utf8")}`);
  }
  const settings = [
    `HostKey ${path("host")}`,
    `AuthorizedKeysFile ${path("authorized")}`,
    "PidFile none",
    "UsePAM no",
    "StrictModes no",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "PermitRootLogin yes",
    "MaxStartups 100",
    "MaxSessions 100",
    `ListenAddress 127.0.0.1:${port}`,
    ...more,
  ];
  writeFileSync(path("config"), `${settings.join("\n")}\n`);
  // Where root's sshd goes to be nobody; a system service would have made it.
  if (process.getuid?.() === 0) mkdirSync("/run/sshd", { recursive: true, mode: 0o755 });
  const child = spawn(PROGRAM, ["-D", "-e", "-f", path("config")], { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  for (let i = 0; !said.includes("Server listening"); i++) {
    if (i > 200 || child.exitCode !== null) throw new Error(`sshd does not start:\n${said}`);
    await sleep(25);
  }
  const rsh = (key: string, known: string) =>
    `ssh -F none -i ${path(key)} -o IdentitiesOnly=yes -o IdentityAgent=none -o StrictHostKeyChecking=yes -o UserKnownHostsFile=${path(known)}`;
  return {
    port,
    user: userInfo().username,
    rsh: rsh("user", "known"),
    strangersRsh: rsh("stranger", "known"),
    wrongHostRsh: rsh("user", "known-wrong"),
    logins: () => said.match(/Accepted publickey/g)?.length ?? 0,
    stop: async () => {
      child.kill("SIGTERM");
      await ended;
      rmSync(home, { recursive: true, force: true });
    },
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
