import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ADDRESSES, PORTS } from "./addresses";
import type { DaemonPlan } from "./daemon";
import { PATH, PDNS_SCHEMA } from "./requirements";

/** Names that are in the zone before any stack is applied, and stay: relative name, type, content. */
export const ZONE_RECORDS = (zone: string): readonly (readonly [string, string, string])[] => [
  ["ns1", "A", ADDRESSES.gslb],
  ["office", "A", ADDRESSES.onprem],
  ["www", "CNAME", `shop.${zone}.`],
];

/** Prepares a PowerDNS with the zone in a SQLite database. @returns how it is started, and where its API's key is */
export function preparePowerDns(
  dir: string,
  namespace: string,
  zone: string,
): { readonly plan: DaemonPlan; readonly keyFile: string } {
  const folder = join(dir, "powerdns");
  mkdirSync(folder, { mode: 0o700 });
  const keyFile = join(dir, "powerdns.key");
  const key = randomBytes(24).toString("hex");
  writeFileSync(keyFile, `${key}\n`, { mode: 0o600 });
  const database = join(folder, "zones.sqlite");
  const env = { ...process.env, PATH };
  execFileSync("sqlite3", [database, `.read ${PDNS_SCHEMA}`], { env, stdio: ["ignore", "ignore", "pipe"] });
  const settings = {
    launch: "gsqlite3",
    "gsqlite3-database": database,
    "gsqlite3-pragma-synchronous": "0",
    "local-address": ADDRESSES.gslb,
    "local-port": String(PORTS.dns),
    api: "yes",
    "api-key": key,
    webserver: "yes",
    "webserver-address": ADDRESSES.gslb,
    "webserver-port": String(PORTS.powerdnsApi),
    "webserver-allow-from": "10.77.0.0/16",
    "enable-lua-records": "shared",
    "edns-subnet-processing": "yes",
    "lua-health-checks-interval": "1",
    "lua-health-checks-expire-delay": "60",
    "security-poll-suffix": "",
    "socket-dir": folder,
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`);
  writeFileSync(join(folder, "pdns.conf"), lines.join(""), { mode: 0o600 });
  const util = (...args: string[]) =>
    execFileSync("pdnsutil", [`--config-dir=${folder}`, ...args], { env, stdio: ["ignore", "ignore", "pipe"] });
  util("create-zone", zone, `ns1.${zone}`);
  util("set-meta", zone, "SOA-EDIT-API", "INCREASE");
  for (const [name, type, content] of ZONE_RECORDS(zone)) util("add-record", zone, name, type, "300", content);
  return {
    keyFile,
    plan: {
      name: "powerdns",
      namespace,
      argv: ["pdns_server", `--config-dir=${folder}`, "--daemon=no", "--guardian=no", "--disable-syslog"],
      cwd: folder,
      logFile: join(dir, "powerdns.log"),
      ready: { listens: [PORTS.dns, PORTS.powerdnsApi] },
    },
  };
}
