import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

export const PATH = [process.env.PATH ?? "", "/usr/sbin", "/sbin"].join(delimiter);

/** The Debian package that each tool comes from, for the message when it is missing. */
const PACKAGES: Readonly<Record<string, string>> = {
  pdns_server: "pdns-server pdns-backend-sqlite3 pdns-backend-lmdb",
  pdnsutil: "pdns-server",
  sqlite3: "sqlite3",
  named: "bind9",
  nsupdate: "bind9-dnsutils",
  dig: "bind9-dnsutils",
  knotd: "knot",
};

function has(tool: string): boolean {
  return PATH.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, tool), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Tests that run real daemons: in CI always, at a desk where they are installed; otherwise their title says what is missing. */
export function describeWith(tools: readonly string[], title: string, body: () => void): void {
  const missing = tools.filter((tool) => !has(tool));
  if (missing.length === 0 || process.env.CI) {
    describe(title, body);
  } else {
    const packages = [...new Set(missing.map((tool) => PACKAGES[tool] ?? tool))].join(", ");
    describe.skip(`${title} (not run: ${missing.join(", ")} not found; install ${packages})`, body);
  }
}
