import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ask } from "../../../../providers/dns";
import { Daemon, freePort, temporaryFolder } from "./daemon";
import { PATH } from "./tools";

const SCHEMA = "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql";

export const ZONE = "example.test";
export const API_KEY = "key-of-the-test-servers";

/** A real PowerDNS with one zone. */
export interface Pdns {
  readonly daemon: Daemon;
  readonly api: string;
  readonly dns: { readonly host: string; readonly port: number };
  readonly keyFile: string;
  /** Its own tool. */
  util(...args: string[]): string;
  /** One request to its API, beside the code that is tested. */
  request(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ readonly status: number; readonly body: unknown }>;
}

export async function startPdns(
  options: {
    readonly backend?: "sqlite" | "lmdb";
    readonly config?: Readonly<Record<string, string>>;
    readonly kind?: "Native" | "Primary";
    readonly zone?: string | false;
    readonly port?: number;
  } = {},
): Promise<Pdns> {
  const folder = temporaryFolder("pdns");
  const [port, webPort] = [options.port ?? (await freePort()), await freePort()];
  const database = join(folder, "db");
  if (options.backend === "lmdb") mkdirSync(join(folder, "run"));
  else execFileSync("sqlite3", [database, `.read ${SCHEMA}`], { env: { ...process.env, PATH } });
  const config = {
    ...(options.backend === "lmdb"
      ? { launch: "lmdb", "lmdb-filename": database }
      : { launch: "gsqlite3", "gsqlite3-database": database, "gsqlite3-pragma-synchronous": "0" }),
    "local-address": "127.0.0.1",
    "local-port": String(port),
    api: "yes",
    "api-key": API_KEY,
    webserver: "yes",
    "webserver-address": "127.0.0.1",
    "webserver-port": String(webPort),
    "enable-lua-records": "shared",
    "edns-subnet-processing": "yes",
    "lua-health-checks-interval": "1",
    "lua-health-checks-expire-delay": "60",
    "security-poll-suffix": "",
    "socket-dir": folder,
    ...options.config,
  };
  writeFileSync(
    join(folder, "pdns.conf"),
    Object.entries(config)
      .map(([key, value]) => `${key}=${value}\n`)
      .join(""),
  );
  const keyFile = join(folder, "api-key");
  writeFileSync(keyFile, `${API_KEY}\n`, { mode: 0o600 });
  const api = `http://127.0.0.1:${webPort}`;
  const dns = { host: "127.0.0.1", port };
  const request: Pdns["request"] = async (method, path, body) => {
    const response = await fetch(`${api}/api/v1/servers/localhost${path}`, {
      method,
      headers: { "x-api-key": API_KEY },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: text === "" ? undefined : (JSON.parse(text) as unknown) };
  };
  const daemon = new Daemon(
    folder,
    ["pdns_server", `--config-dir=${folder}`, "--daemon=no", "--guardian=no", "--disable-syslog"],
    async () => {
      await request("GET", "");
      // Not the zone itself: that it is not there yet would be kept in its caches.
      await ask(dns, { name: "up.invalid", type: "SOA", timeoutMs: 300 });
    },
  );
  const pdns: Pdns = {
    daemon,
    api,
    dns,
    keyFile,
    request,
    util: (...args) =>
      execFileSync("pdnsutil", [`--config-dir=${folder}`, ...args], {
        env: { ...process.env, PATH },
        encoding: "utf8",
        stdio: ["ignore", "pipe", "pipe"],
      }),
  };
  await daemon.start();
  if (options.zone !== false) await createZone(pdns, options.zone ?? ZONE, options.kind);
  return pdns;
}

export async function createZone(
  pdns: Pdns,
  zone: string,
  kind: "Native" | "Primary" = "Native",
): Promise<void> {
  const { status, body } = await pdns.request("POST", "/zones", {
    name: `${zone}.`,
    kind: kind === "Primary" ? "Master" : kind,
    soa_edit_api: "INCREASE",
    nameservers: [`ns1.${zone}.`],
  });
  if (status !== 201) throw new Error(`no zone: ${JSON.stringify(body)}`);
}
