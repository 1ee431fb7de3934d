import { spawnSync } from "node:child_process";

const RELEASE = "bookworm";

/**
 * Where this machine's apt takes Debian 12 from: the release, its updates and its security updates (each may be missing but the
 * first). The bench asks no other host than those.
 */
export function packageSources() {
  const asked = spawnSync(
    "apt-get",
    ["indextargets", "--format", "$(CREATED_BY) $(REPO_URI) $(RELEASE) $(COMPONENT)"],
    {
      encoding: "utf8",
    },
  );
  const lines = (asked.stdout ?? "").split("\n").map((line) => line.split(" "));
  const find = (suite) =>
    lines.find(([by, , release, part]) => by === "Packages" && release === suite && part === "main")?.[1];
  const release = find(RELEASE);
  if (release === undefined) {
    throw new Error(
      `The corpus is made of Debian 12 packages, and no apt source of this machine has "${RELEASE} main". ` +
        `Add one (and run apt-get update), or copy a corpus that was built elsewhere and name it with --corpus.`,
    );
  }
  return {
    suite: RELEASE,
    release,
    updates: find(`${RELEASE}-updates`),
    security: find(`${RELEASE}-security`),
  };
}
