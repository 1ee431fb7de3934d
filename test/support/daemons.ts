import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** Where daemons are found: packages put them where PATH of an unprivileged user may not look. */
export const PATH = [process.env.PATH ?? "", "/usr/sbin", "/usr/local/sbin", "/sbin"].join(delimiter);

/** The Debian package that each tool comes from, for the message when it is missing. `.ci/run` installs them all. */
const PACKAGES: Readonly<Record<string, string>> = {
  haproxy: "haproxy",
  pdns_server: "pdns-server pdns-backend-sqlite3 pdns-backend-lmdb",
  pdnsutil: "pdns-server",
  sqlite3: "sqlite3",
  named: "bind9",
  nsupdate: "bind9-dnsutils",
  dig: "bind9-dnsutils",
  knotd: "knot",
  prometheus: "prometheus",
  "prometheus-node-exporter": "prometheus-node-exporter",
  moto_server: "'moto[server]' (by pip)",
};

/** Is it installed here? */
export function has(tool: string): boolean {
  return PATH.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, tool), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/**
 * Tests that run real daemons: in CI always (there they fail when one is missing), at a desk where all are installed. Otherwise they
 * are skipped, and it is said which, and what to install.
 */
export function describeWith(tools: readonly string[], title: string, body: () => void): void {
  const missing = tools.filter((tool) => !has(tool));
  const packages = [...new Set(missing.map((tool) => PACKAGES[tool] ?? tool))].join(" ");
  describeUnless(
    missing.length === 0 ? [] : [`${missing.join(", ")} not found; install ${packages}`],
    title,
    body,
  );
}

/** The same, where something else than a program may be lacking. */
export function describeUnless(lacking: readonly string[], title: string, body: () => void): void {
  if (lacking.length === 0 || process.env.CI) {
    describe(title, body);
    return;
  }
  const why = `not run: ${lacking.join("; ")}`;
  // Jest tells titles of skipped tests only with --verbose.
  process.stderr.write(`${title}: ${why}\n`);
  describe.skip(`${title} (${why})`, body);
}
