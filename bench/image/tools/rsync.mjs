import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { startSsh } from "../support/ssh.mjs";
import { sameFile } from "../support/verify.mjs";

const COMMON = ["-z", "--ignore-times", "--no-whole-file"];

/** rsync knows nothing of file systems: where free blocks need not arrive, it is given an image without them. */
function tool(name, title, options) {
  return {
    name,
    title,
    requires: ["rsync", "ssh", "sshd", "ssh-keygen"],
    async prepare({ near, far, directory, source, trimmed, held, exact }) {
      const image = exact ? source : await trimmed();
      const target = join(directory, "disk.raw");
      if (held !== undefined) spawnSync("cp", ["--sparse=always", held, target]);
      const { rsh, host } = await startSsh(far, directory);
      return {
        push: () => near.run("rsync", [...COMMON, ...options, "-e", rsh, image, `root@${host}:${target}`]),
        verify: async () => ({ verified: await sameFile(image, target) }),
        note: exact ? undefined : "of an image without its free blocks, made beforehand",
      };
    },
  };
}

export const rsync = tool("rsync", "rsync -z -S", ["-S"]);
export const rsyncInplace = tool("rsync-inplace", "rsync -z --inplace", ["--inplace"]);
