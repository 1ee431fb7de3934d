import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ask } from "../../../../providers/dns";
import type { TsigAlgorithm } from "../../../../providers/rfc2136";
import { Daemon, freePort, temporaryFolder } from "./daemon";
import { startPdns, ZONE } from "./pdns";

/** A key that each test server knows. */
export const KEY = {
  name: "spillway-key",
  secret: Buffer.from("a secret of the test servers, 32+").toString("base64"),
};

/** A real server that takes dynamic updates of `example.test`, signed with {@link KEY}. */
export interface UpdateServer {
  readonly daemon: Daemon;
  readonly dns: { readonly host: string; readonly port: number };
  readonly secretFile: string;
}

export interface UpdateServerOptions {
  readonly algorithm?: TsigAlgorithm;
  readonly port?: number;
  /** A secondary that may transfer, and is told. */
  readonly secondaryPort?: number;
}

const ZONE_FILE = `$TTL 60
@ SOA ns1 hostmaster 1 3600 600 86400 60
@ NS ns1
ns1 A 127.0.0.1
old A 192.0.2.9
mail MX 10 ns1
* TXT "a wildcard"
`;

function files(kind: string) {
  const folder = temporaryFolder(kind);
  writeFileSync(join(folder, "zone"), ZONE_FILE);
  const secretFile = join(folder, "secret");
  writeFileSync(secretFile, `${KEY.secret}\n`, { mode: 0o600 });
  return { folder, secretFile };
}

const answers = (dns: UpdateServer["dns"]) => async () => {
  const { answers: found } = await ask(dns, { name: ZONE, type: "SOA", timeoutMs: 300 });
  if (!found?.length) throw new Error("no SOA");
};

/** BIND. */
export async function startNamed(options: UpdateServerOptions = {}): Promise<UpdateServer> {
  const { folder, secretFile } = files("named");
  const port = options.port ?? (await freePort());
  const also = options.secondaryPort;
  writeFileSync(
    join(folder, "named.conf"),
    `options { directory "${folder}"; listen-on port ${port} { 127.0.0.1; }; listen-on-v6 { none; };
  pid-file none; session-keyfile "${folder}/session.key"; recursion no; dnssec-validation no;
  notify explicit; ${also === undefined ? "" : `also-notify { 127.0.0.1 port ${also}; };`} notify-delay 0; };
controls { };
key "${KEY.name}" { algorithm ${options.algorithm ?? "hmac-sha256"}; secret "${KEY.secret}"; };
zone "${ZONE}" { type primary; file "${folder}/zone"; allow-update { key "${KEY.name}"; }; allow-transfer { 127.0.0.1; }; };
`,
  );
  const dns = { host: "127.0.0.1", port };
  const daemon = new Daemon(
    folder,
    ["named", "-g", "-n", "1", "-c", join(folder, "named.conf")],
    answers(dns),
  );
  await daemon.start();
  return { daemon, dns, secretFile };
}

/** A BIND that follows a primary. */
export async function startSecondary(port: number, primaryPort: number): Promise<UpdateServer> {
  const { folder, secretFile } = files("secondary");
  writeFileSync(
    join(folder, "named.conf"),
    `options { directory "${folder}"; listen-on port ${port} { 127.0.0.1; }; listen-on-v6 { none; };
  pid-file none; session-keyfile "${folder}/session.key"; recursion no; dnssec-validation no; };
controls { };
zone "${ZONE}" { type secondary; primaries { 127.0.0.1 port ${primaryPort}; }; };
`,
  );
  const dns = { host: "127.0.0.1", port };
  const daemon = new Daemon(
    folder,
    ["named", "-g", "-n", "1", "-c", join(folder, "named.conf")],
    answers(dns),
  );
  await daemon.start();
  return { daemon, dns, secretFile };
}

export async function startKnot(options: UpdateServerOptions = {}): Promise<UpdateServer> {
  const { folder, secretFile } = files("knot");
  const port = options.port ?? (await freePort());
  mkdirSync(join(folder, "run"));
  writeFileSync(
    join(folder, "knot.conf"),
    `server:
  listen: 127.0.0.1@${port}
  rundir: ${folder}/run
  answer-rotation: on
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
log:
  - target: stderr
    any: info
database:
  storage: ${folder}/run
key:
  - id: ${KEY.name}
    algorithm: ${options.algorithm ?? "hmac-sha256"}
    secret: ${KEY.secret}
acl:
  - id: update
    key: ${KEY.name}
    action: update
zone:
  - domain: ${ZONE}
    file: ${folder}/zone
    acl: update
`,
  );
  const dns = { host: "127.0.0.1", port };
  const daemon = new Daemon(folder, ["knotd", "-c", join(folder, "knot.conf")], answers(dns));
  await daemon.start();
  return { daemon, dns, secretFile };
}

/** PowerDNS, by update instead of by its API. */
export async function startPdnsForUpdates(options: UpdateServerOptions = {}): Promise<UpdateServer> {
  const pdns = await startPdns({ config: { dnsupdate: "yes", "allow-dnsupdate-from": "127.0.0.0/8" } });
  const algorithm = options.algorithm ?? "hmac-sha256";
  pdns.util("import-tsig-key", KEY.name, algorithm, KEY.secret);
  pdns.util("set-meta", ZONE, "TSIG-ALLOW-DNSUPDATE", KEY.name);
  const { status } = await pdns.request("PATCH", `/zones/${ZONE}.`, {
    rrsets: [
      ["old", "A", "192.0.2.9"],
      ["mail", "MX", `10 ns1.${ZONE}.`],
      ["*", "TXT", '"a wildcard"'],
    ].map(([name, type, content]) => ({
      name: `${name}.${ZONE}.`,
      type,
      ttl: 60,
      changetype: "REPLACE",
      records: [{ content, disabled: false }],
    })),
  });
  if (status !== 204) throw new Error(`no records: ${status}`);
  const secretFile = join(pdns.daemon.folder, "secret");
  writeFileSync(secretFile, KEY.secret, { mode: 0o600 });
  return { daemon: pdns.daemon, dns: pdns.dns, secretFile };
}
