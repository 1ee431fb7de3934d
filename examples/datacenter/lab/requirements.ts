import { accessSync, constants, existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import type { ProblemReport } from "../../../lib/errors";
import { PACKAGE_ROOT } from "../../../cli/version";

/** Daemons are not on everybody's PATH. */
export const PATH = [process.env.PATH ?? "", "/usr/local/sbin", "/usr/sbin", "/sbin"].join(delimiter);

/** The Debian package of each program. */
const PROGRAMS: Readonly<Record<string, string>> = {
  ip: "iproute2",
  nsenter: "util-linux",
  gcc: "gcc libc6-dev",
  openssl: "openssl",
  sqlite3: "sqlite3",
  pdns_server: "pdns-server pdns-backend-sqlite3",
  pdnsutil: "pdns-server",
  haproxy: "haproxy",
};
const PROMETHEUS: Readonly<Record<string, string>> = {
  prometheus: "prometheus",
  "prometheus-node-exporter": "prometheus-node-exporter",
};
export const PDNS_SCHEMA = "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql";

export const AGENT = join(PACKAGE_ROOT, "dist", "cli", "main.js");
export const WAN_SOURCE = join(PACKAGE_ROOT, "bench", "image", "wanlink.c");

/** What this machine lacks for a lab: one line each, all of it at once. */
export function missingParts({ prometheus = true }: { readonly prometheus?: boolean } = {}): ProblemReport[] {
  const problems: ProblemReport[] = [];
  const place = "this machine";
  if (process.platform !== "linux") {
    return [
      {
        place,
        problem: `network namespaces are Linux's, this is ${process.platform}`,
        mend: "Lay it out in a Linux VM.",
      },
    ];
  }
  if (process.getuid?.() !== 0)
    problems.push({
      place,
      problem: `it takes root to make network namespaces, this is user ${process.getuid?.()}`,
      mend: "Run it with sudo.",
    });
  for (const [program, packages] of Object.entries({ ...PROGRAMS, ...(prometheus ? PROMETHEUS : {}) })) {
    if (!isThere(program))
      problems.push({
        place,
        problem: `\`${program}\` is not installed`,
        mend: `apt-get install --no-install-recommends ${packages}`,
      });
  }
  if (isThere("pdns_server") && !existsSync(PDNS_SCHEMA))
    problems.push({
      place,
      problem: "PowerDNS has no SQLite backend here",
      mend: "apt-get install --no-install-recommends pdns-backend-sqlite3",
    });
  if (!existsSync("/dev/net/tun"))
    problems.push({ place, problem: "there is no /dev/net/tun", mend: "modprobe tun" });
  if (!existsSync(AGENT)) problems.push({ place: AGENT, problem: "it is not built", mend: "npm run build:fast" });
  return problems;
}

function isThere(program: string): boolean {
  return PATH.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
