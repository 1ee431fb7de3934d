import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startSsh } from "../support/ssh.mjs";
import { arrivedRight, program } from "./spillway.mjs";

/** Spillway without an agent, as rsync does it: the far side is started over ssh, and writes into a directory. */
export const spillwaySsh = {
  name: "spillway-ssh",
  title: "spillway image push ssh://",
  requires: ["ssh", "sshd", "ssh-keygen"],
  async prepare({ near, far, directory, source, held, exact }) {
    const remote = join(directory, "spillway");
    writeFileSync(remote, `#!/bin/sh\nexec '${process.execPath}' '${program("dist/cli/main.js")}' "$@"\n`, {
      mode: 0o755,
    });
    const store = join(directory, "store");
    const env = { XDG_CACHE_HOME: join(directory, "cache") };
    const push = (image, target, ...options) =>
      near.run(remote, ["image", "push", image, target, ...(exact ? ["--exact"] : []), ...options], { env });
    const images = () =>
      existsSync(store) ? readdirSync(store).filter((name) => name.endsWith(".img")) : [];
    if (held !== undefined) await push(held, store);
    const before = images();
    const { rsh, host } = await startSsh(far, directory);
    return {
      push: () => push(source, `ssh://root@${host}${store}`, "--rsh", rsh, "--remote-command", remote),
      async verify() {
        const arrived = images().filter((name) => !before.includes(name));
        return {
          verified: arrived.length === 1 && (await arrivedRight(source, join(store, arrived[0]), exact)),
        };
      },
    };
  },
};
