import { join } from "node:path";
import { listening } from "../support/ssh.mjs";
import { sameFile } from "../support/verify.mjs";
import { FAR_ADDRESS } from "../support/wan.mjs";

const PORT = 7000;

function tool(name, title, withFreeBlocks) {
  return {
    name,
    title,
    requires: ["zstd", "nc"],
    async prepare({ near, far, directory, source, trimmed }) {
      const image = withFreeBlocks ? source : await trimmed();
      const target = join(directory, "disk.raw");
      const receive = `nc -l ${FAR_ADDRESS} ${PORT} | zstd -q -d --sparse -f -o "$1"`;
      const receiver = far.start("bash", ["-o", "pipefail", "-c", receive, "bash", target]);
      await listening(receiver.child.pid, PORT);
      const send = `zstd -q -T0 -3 -c "$1" | nc -N ${FAR_ADDRESS} ${PORT}`;
      return {
        async push() {
          await near.run("bash", ["-o", "pipefail", "-c", send, "bash", image]);
          await receiver.done;
        },
        verify: async () => ({ verified: await sameFile(image, target) }),
        note: withFreeBlocks ? undefined : "of an image without its free blocks, made beforehand",
      };
    },
  };
}

export const zstdNc = tool("zstd-nc", "zstd -3 | nc", true);
export const zstdNcTrimmed = tool("zstd-nc-trimmed", "zstd -3 | nc", false);
