import { resolve } from "node:path";
import { readBalancer } from "./balancer";
import { DEFAULT_LISTEN, type AgentConfig, type AgentFlags, type PrometheusConfig } from "./config";
import { readNameServer } from "./name-server";
import { prometheusProblems } from "../../providers/prometheus";
import { ConfigReader } from "./reader";

const KNOWN = [
  ...["site", "state", "listen", "tokenFile", "tls", "retainImages"],
  ...["launcher", "balancer", "nameServer", "prometheus", "ebs"],
];
const SITE_NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * Reads an agent's configuration file. Relative paths are relative to it, and what `flags` say wins over it.
 * @throws SpillwayError, SpillwayErrors with everything that is wrong: each has the file as its place, the JSON path and the value
 * received in its problem, and never a secret
 */
export function loadAgentConfig(path: string, flags: AgentFlags = {}): AgentConfig {
  const reader = new ConfigReader(resolve(path));
  const from = reader.object(reader.read(), [], KNOWN) ?? {};
  const given = <T>(flag: T | undefined, name: string, read: (value: unknown) => T | undefined) => {
    // Also what a flag stands in for must be right: else it is found on the day when the flag is left out.
    const value = from[name] === undefined && flag !== undefined ? undefined : read(from[name]);
    return flag ?? value;
  };
  const optional = <T>(name: string, read: (value: unknown) => T | undefined) =>
    from[name] === undefined ? undefined : read(from[name]);

  const site = given(flags.site, "site", (value) => readSite(reader, value));
  const stateDir = given(flags.stateDir, "state", (value) => reader.path(value, ["state"]));
  const tokenFile = given(flags.tokenFile, "tokenFile", (value) => reader.path(value, ["tokenFile"]));
  const listen = optional("listen", (value) => reader.endpoint(value, ["listen"], "127.0.0.1:7501"));
  const tls = optional("tls", (value) => readTls(reader, value));
  const retainImages = optional("retainImages", (value) =>
    value === "all" ? value : reader.whole(value, ["retainImages"], 2, 1_000_000),
  );
  optional("launcher", (value) => {
    const launcher = reader.object(value, ["launcher"], ["kind"]);
    return launcher && reader.choice(launcher.kind, ["launcher", "kind"], ["process"]);
  });
  const balancer = optional("balancer", (value) => readBalancer(reader, value));
  const nameServer = optional("nameServer", (value) => readNameServer(reader, value));
  const prometheus = optional("prometheus", (value) => readPrometheus(reader, value));
  const ebs = optional("ebs", (value) => readEbs(reader, value));
  reader.done();
  return {
    site: present(site),
    stateDir: present(stateDir),
    tokenFile: present(tokenFile),
    listen: flags.listen ?? listen ?? DEFAULT_LISTEN,
    tls: flags.tls ?? tls,
    retainImages: flags.retainImages ?? retainImages,
    balancer: balancer ?? { kind: "embedded" },
    nameServer: flags.nameServer ? { kind: "embedded", listen: flags.nameServer } : nameServer,
    prometheus,
    ...(ebs && { ebs }),
  };
}

function readEbs(reader: ConfigReader, value: unknown): AgentConfig["ebs"] {
  const from = reader.object(value, ["ebs"], ["region"]);
  if (from?.region === undefined) return from && {};
  const region = reader.text(from.region, ["ebs", "region"], "Write it as eu-central-1.");
  return region === undefined ? undefined : { region };
}

function readSite(reader: ConfigReader, value: unknown): string | undefined {
  if (typeof value === "string" && SITE_NAME.test(value)) return value;
  return reader.found(
    ["site"],
    `must be a name of lower-case letters, digits and hyphens, got ${value === undefined ? "nothing" : JSON.stringify(value)}`,
    "Name the site as the stack calls it, such as `onprem`.",
  );
}

function readTls(reader: ConfigReader, value: unknown): AgentConfig["tls"] {
  const from = reader.object(value, ["tls"], ["certFile", "keyFile"]);
  if (from === undefined) return undefined;
  const certFile = reader.path(from.certFile, ["tls", "certFile"]);
  const keyFile = reader.path(from.keyFile, ["tls", "keyFile"]);
  return certFile === undefined || keyFile === undefined ? undefined : { certFile, keyFile };
}

function readPrometheus(reader: ConfigReader, value: unknown): PrometheusConfig | undefined {
  const at = (name: string) => ["prometheus", name];
  const from = reader.object(
    value,
    ["prometheus"],
    ["endpoint", "tokenFile", "caFile", "user", "passwordFile", "allowPlainHttp"],
  );
  if (from === undefined) return undefined;
  const endpoint = reader.url(from.endpoint, at("endpoint"), "http://192.0.2.90:9090");
  const file = (name: string) => (from[name] === undefined ? undefined : reader.path(from[name], at(name)));
  const user =
    from.user === undefined
      ? undefined
      : reader.text(from.user, at("user"), "Name the user of HTTP basic authentication.");
  const files = { tokenFile: file("tokenFile"), caFile: file("caFile"), passwordFile: file("passwordFile") };
  if ((from.user === undefined) !== (from.passwordFile === undefined)) {
    const [has, lacks] = from.user === undefined ? ["passwordFile", "user"] : ["user", "passwordFile"];
    reader.found(at(has), `is given without \`${lacks}\``, "Give both or neither.");
  }
  if (from.tokenFile !== undefined && from.user !== undefined) {
    reader.found(at("tokenFile"), "is given beside `user`", "Prometheus takes one of both: leave one out.");
  }
  const allowPlainHttp =
    from.allowPlainHttp === undefined ? undefined : reader.flag(from.allowPlainHttp, at("allowPlainHttp"));
  if (endpoint === undefined) return undefined;
  for (const found of prometheusProblems({ endpoint, ...files, user, allowPlainHttp }, ""))
    // The rest was found above, as it is written here.
    if (found.attribute?.[0] === "endpoint") reader.add(["prometheus"], found);
  const said = Object.entries({ ...files, user, allowPlainHttp }).filter(([, each]) => each !== undefined);
  return { endpoint, ...Object.fromEntries(said) };
}

/** Every value that is missing was a finding. */
function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("a value is missing that was not found to be");
  return value;
}
