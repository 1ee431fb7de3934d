import type { AttachOptions, HaproxySettings } from "../../providers/haproxy";
import type { BalancerConfig } from "./config";
import type { ConfigReader } from "./reader";

const DAY_MS = 86_400_000;
const TIMES = ["slowStartMs", "keepAliveMs", "serverTimeoutMs", "tunnelTimeoutMs", "queueTimeoutMs"] as const;

/** `balancer` of the configuration file. */
export function readBalancer(reader: ConfigReader, value: unknown): BalancerConfig | undefined {
  const path = ["balancer"];
  const from = reader.object(value, path, knownOf(value));
  if (from === undefined) return undefined;
  const kind = reader.choice(from.kind, [...path, "kind"], ["embedded", "haproxy"]);
  if (kind !== "haproxy") return kind && { kind };
  const attach = from.attach === undefined ? undefined : readAttach(reader, from.attach);
  const settings = from.settings === undefined ? undefined : readSettings(reader, from.settings);
  const program =
    from.program === undefined
      ? undefined
      : reader.text(from.program, [...path, "program"], "Name the program, or its path.");
  if (program !== undefined && from.attach !== undefined) {
    reader.found(
      [...path, "program"],
      "is given beside `attach`",
      "With `attach` the HAProxy is yours to start: leave one of both out.",
    );
  }
  return { kind, ...(attach && { attach }), ...(settings && { settings }), ...(program && { program }) };
}

/** Of a kind that is misspelt the rest may be right. */
function knownOf(value: unknown): readonly string[] {
  const isEmbedded =
    typeof value === "object" && value !== null && "kind" in value && value.kind === "embedded";
  return isEmbedded ? ["kind"] : ["kind", "program", "attach", "settings"];
}

function readAttach(reader: ConfigReader, value: unknown): AttachOptions | undefined {
  const path = ["balancer", "attach"];
  const from = reader.object(value, path, ["socket", "masterSocket"]);
  if (from === undefined) return undefined;
  const socket = readSocket(reader, from.socket, [...path, "socket"]);
  const masterSocket =
    from.masterSocket === undefined
      ? undefined
      : readSocket(reader, from.masterSocket, [...path, "masterSocket"]);
  return socket === undefined ? undefined : { socket, ...(masterSocket && { masterSocket }) };
}

/** A path, or `host:port`. */
function readSocket(reader: ConfigReader, value: unknown, path: readonly string[]): string | undefined {
  const text = reader.text(value, path, "Name a socket's path, such as /run/haproxy/admin.sock.");
  if (text === undefined || /^[^/]+:\d{1,5}$/.test(text)) return text;
  return reader.path(text, path);
}

function readSettings(reader: ConfigReader, value: unknown): HaproxySettings | undefined {
  const path = ["balancer", "settings"];
  const from = reader.object(value, path, [...TIMES, "agentCheck"]);
  if (from === undefined) return undefined;
  const times = TIMES.filter((name) => from[name] !== undefined).map(
    (name) =>
      [name, reader.whole(from[name], [...path, name], name === "slowStartMs" ? 0 : 1, 30 * DAY_MS)] as const,
  );
  const agentCheck = from.agentCheck === undefined ? undefined : readAgentCheck(reader, from.agentCheck);
  return { ...Object.fromEntries(times), ...(agentCheck && { agentCheck }) };
}

function readAgentCheck(reader: ConfigReader, value: unknown): HaproxySettings["agentCheck"] {
  const path = ["balancer", "settings", "agentCheck"];
  const from = reader.object(value, path, ["port", "intervalMs"]);
  if (from === undefined) return undefined;
  const port = reader.whole(from.port, [...path, "port"], 1, 65_535);
  const intervalMs = reader.whole(from.intervalMs, [...path, "intervalMs"], 100, DAY_MS);
  return port === undefined || intervalMs === undefined ? undefined : { port, intervalMs };
}
