import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { startSsh } from "../support/ssh.mjs";

/** Small chunks that do not move, as is recommended for disk images, and as good as zstd makes them at the link's pace. */
const CREATE = ["create", "--compression", "zstd,3", "--chunker-params", "fixed,65536", "--sparse"];

/** A repository at the far side; getting the image out of it again is not in its time. */
export const borg = {
  name: "borg",
  title: "borg zstd,3",
  requires: ["borg", "ssh", "sshd", "ssh-keygen"],
  async prepare({ near, far, directory, source, held }) {
    const env = {
      BORG_BASE_DIR: directory,
      BORG_RELOCATED_REPO_ACCESS_IS_OK: "yes",
      BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: "yes",
    };
    const repository = join(directory, "repository");
    await near.run("borg", ["init", "--encryption", "none", repository], { env });
    if (held !== undefined) await near.run("borg", [...CREATE, `${repository}::held`, held], { env });
    const { rsh, host } = await startSsh(far, directory);
    return {
      push: () =>
        near.run("borg", [...CREATE, `ssh://root@${host}${repository}::sent`, source], {
          env: { ...env, BORG_RSH: rsh },
        }),
      async verify() {
        const started = performance.now();
        const script = 'borg extract --stdout "$1::sent" | cmp -s - "$2"';
        const compare = spawn("bash", ["-o", "pipefail", "-c", script, "bash", repository, source], {
          stdio: "ignore",
          env: { ...process.env, ...env },
        });
        const [code] = await once(compare, "exit");
        const seconds = Math.round((performance.now() - started) / 1_000);
        return { verified: code === 0, note: `and ${seconds} s to take it out of the repository` };
      },
    };
  },
};
