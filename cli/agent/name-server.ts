import {
  PowerDnsNameServer,
  type HealthCheck,
  type PowerDnsOptions,
  type ShiftTtl,
} from "../../providers/powerdns";
import { Rfc2136NameServer, type Rfc2136Options } from "../../providers/rfc2136";
import { SpillwayError, SpillwayErrors } from "../../lib/errors";
import type { NameServerConfig } from "./config";
import type { ConfigReader } from "./reader";

const DAY_MS = 86_400_000;
const PATH = ["nameServer"] as const;
const at = (...names: readonly (string | number)[]) => [...PATH, ...names];

type Values = Readonly<Record<string, unknown>>;
type Fields = Readonly<Record<string, unknown>>;

const KNOWN: Readonly<Record<NameServerConfig["kind"], readonly string[]>> = {
  embedded: ["kind", "listen"],
  powerdns: [
    ...[
      "kind",
      "api",
      "apiKey",
      "allowPlainHttp",
      "serverId",
      "zones",
      "endpoint",
      "agent",
      "health",
      "select",
      "luaByZone",
    ],
    ...["warmUpMs", "shift", "secondaries", "secondariesMs", "requestMs", "takeOver"],
  ],
  rfc2136: [
    ...["kind", "server", "zones", "key", "agent", "endpoint", "secondaries", "secondariesMs", "requestMs"],
    ...["addresses", "uneven", "tolerancePoints", "takeOver"],
  ],
};

/** `nameServer` of the configuration file. */
export function readNameServer(reader: ConfigReader, value: unknown): NameServerConfig | undefined {
  const kinds = Object.keys(KNOWN) as NameServerConfig["kind"][];
  const named = (value as { readonly kind?: NameServerConfig["kind"] } | null | undefined)?.kind;
  const known = kinds.includes(named as NameServerConfig["kind"])
    ? KNOWN[named as NameServerConfig["kind"]]
    : [...new Set(Object.values(KNOWN).flat())];
  const from = reader.object(value, PATH, known);
  if (from === undefined) return undefined;
  const kind = reader.choice(from.kind, at("kind"), kinds);
  if (kind === "embedded") {
    const listen = reader.endpoint(from.listen, at("listen"), "192.0.2.53:53");
    return listen && { kind, listen };
  }
  if (kind === "powerdns") return readPowerDns(reader, from);
  if (kind === "rfc2136") return readRfc2136(reader, from);
  return undefined;
}

function readPowerDns(reader: ConfigReader, from: Values): NameServerConfig | undefined {
  const before = reader.count;
  const options = fields({
    api: reader.url(from.api, at("api"), "http://192.0.2.53:8081"),
    apiKey: reader.secret(from.apiKey, at("apiKey"), "PowerDNS's API key"),
    allowPlainHttp:
      from.allowPlainHttp === undefined ? undefined : reader.flag(from.allowPlainHttp, at("allowPlainHttp")),
    serverId: text(reader, from, "serverId", 'It is "localhost", but behind a proxy.'),
    endpoint: address(reader, from.endpoint, at("endpoint")),
    health: from.health === undefined ? undefined : readHealth(reader, from.health),
    select:
      from.select === undefined ? undefined : reader.choice(from.select, at("select"), ["random", "client"]),
    luaByZone: from.luaByZone === undefined ? undefined : reader.flag(from.luaByZone, at("luaByZone")),
    warmUpMs: time(reader, from, "warmUpMs", 0),
    shift: from.shift === undefined ? undefined : readShift(reader, from.shift),
    ...common(reader, from),
  }) as unknown as PowerDnsOptions;
  if (reader.count > before) return undefined;
  return taken(reader, () => new PowerDnsNameServer(options)) ? { kind: "powerdns", options } : undefined;
}

function readRfc2136(reader: ConfigReader, from: Values): NameServerConfig | undefined {
  const before = reader.count;
  const options = fields({
    server: address(reader, from.server, at("server")),
    endpoint: from.endpoint === undefined ? undefined : address(reader, from.endpoint, at("endpoint")),
    key: readKey(reader, from.key),
    addresses: from.addresses === undefined ? undefined : readAddresses(reader, from.addresses),
    uneven:
      from.uneven === undefined
        ? undefined
        : reader.choice(from.uneven, at("uneven"), ["refuse", "failover", "nearest"]),
    tolerancePoints:
      from.tolerancePoints === undefined
        ? undefined
        : reader.whole(from.tolerancePoints, at("tolerancePoints"), 0, 100),
    ...common(reader, from),
  }) as unknown as Rfc2136Options;
  if (reader.count > before) return undefined;
  return taken(reader, () => new Rfc2136NameServer(options)) ? { kind: "rfc2136", options } : undefined;
}

/** What both have. */
function common(reader: ConfigReader, from: Values): Fields {
  const zone = (value: unknown, path: readonly (string | number)[]) =>
    reader.text(value, path, "Write it as example.com.");
  return {
    zones: reader.list(from.zones, at("zones"), zone),
    // No default: a site's name is many an installation's, and those of one name take each other's records for their own.
    agent: reader.text(
      from.agent,
      at("agent"),
      "Name the installation, as no other that writes to this server: onprem.shop.example.com.",
    ),
    secondaries:
      from.secondaries === undefined
        ? undefined
        : reader.list(from.secondaries, at("secondaries"), (value, path) => address(reader, value, path)),
    secondariesMs: time(reader, from, "secondariesMs", 1),
    requestMs: time(reader, from, "requestMs", 1),
    takeOver: from.takeOver === undefined ? undefined : reader.flag(from.takeOver, at("takeOver")),
  };
}

function readHealth(reader: ConfigReader, value: unknown): HealthCheck | undefined {
  const known = ["type", "port", "path", "host", "match", "timeoutSeconds"];
  const from = reader.object(value, at("health"), known);
  if (from === undefined) return undefined;
  const word = (name: string) =>
    from[name] === undefined
      ? undefined
      : reader.text(from[name], at("health", name), "Leave it out, or say what.");
  return fields({
    type: reader.choice(from.type, at("health", "type"), ["http", "https", "tcp"]),
    port: reader.whole(from.port, at("health", "port"), 1, 65_535),
    path: word("path"),
    host: word("host"),
    match: word("match"),
    timeoutSeconds:
      from.timeoutSeconds === undefined
        ? undefined
        : reader.whole(from.timeoutSeconds, at("health", "timeoutSeconds"), 1, 3_600),
  }) as unknown as HealthCheck;
}

function readShift(reader: ConfigReader, value: unknown): ShiftTtl | undefined {
  const from = reader.object(value, at("shift"), ["ttlSeconds", "waitMs", "holdMs"]);
  if (from === undefined) return undefined;
  const ms = (name: string) =>
    from[name] === undefined ? undefined : reader.whole(from[name], at("shift", name), 0, DAY_MS);
  return fields({
    ttlSeconds: reader.whole(from.ttlSeconds, at("shift", "ttlSeconds"), 1, 86_400),
    waitMs: ms("waitMs"),
    holdMs: ms("holdMs"),
  }) as unknown as ShiftTtl;
}

function readKey(reader: ConfigReader, value: unknown): Rfc2136Options["key"] | undefined {
  const from = reader.object(value, at("key"), ["name", "algorithm", "secret"]);
  if (from === undefined) return undefined;
  return fields({
    name: reader.text(from.name, at("key", "name"), "Write it as it is called at the server."),
    algorithm:
      from.algorithm === undefined
        ? undefined
        : reader.choice(from.algorithm, at("key", "algorithm"), [
            "hmac-sha256",
            "hmac-sha384",
            "hmac-sha512",
          ]),
    secret: reader.secret(from.secret, at("key", "secret"), "the key's secret"),
  }) as unknown as Rfc2136Options["key"];
}

function readAddresses(reader: ConfigReader, value: unknown): Rfc2136Options["addresses"] {
  // Any site may be named: there is no list of known ones here.
  const names = typeof value === "object" && value !== null ? Object.keys(value) : [];
  const from = reader.object(value, at("addresses"), names);
  if (from === undefined) return undefined;
  return fields(
    Object.fromEntries(
      names.map((site) => [
        site,
        reader.list(from[site], at("addresses", site), (each, path) =>
          reader.text(each, path, "Write an address, such as 192.0.2.2."),
        ),
      ]),
    ),
  ) as Rfc2136Options["addresses"];
}

function text(reader: ConfigReader, from: Values, name: string, mend: string): string | undefined {
  return from[name] === undefined ? undefined : reader.text(from[name], at(name), mend);
}

function time(reader: ConfigReader, from: Values, name: string, least: number): number | undefined {
  return from[name] === undefined ? undefined : reader.whole(from[name], at(name), least, DAY_MS);
}

function address(
  reader: ConfigReader,
  value: unknown,
  path: readonly (string | number)[],
): string | undefined {
  return reader.endpoint(value, path, "192.0.2.53:53") && (value as string);
}

/** Only what was said: a driver's defaults stand for the rest. */
function fields(all: Fields): Fields {
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

/** A driver looks at its options itself; what it finds is told beside the rest. */
function taken(reader: ConfigReader, make: () => unknown): boolean {
  try {
    make();
    return true;
  } catch (error) {
    if (error instanceof SpillwayErrors) for (const each of error.errors) reader.add(PATH, each.report);
    else if (error instanceof SpillwayError) reader.add(PATH, error.report);
    else throw error;
    return false;
  }
}
