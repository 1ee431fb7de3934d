import { type ProblemReport, throwProblems } from "../../lib/errors";
import { parseHostPort, readSecret, type HostPort, type Instance, type SecretSource } from "../dns";
import { nameProblem, normalName } from "../local/nameserver/names";
import { ALGORITHMS, type TsigAlgorithm, type TsigKey } from "./tsig";
import type { WeightOptions } from "./weights";

export interface Rfc2136Options extends WeightOptions, Instance {
  /** The zones' primary: `192.0.2.53:53`. Updates go there over TCP, and queries about what stands there. */
  readonly server: string;
  /** Zones that records may be in. */
  readonly zones: readonly string[];
  readonly key: {
    /** As it is called at the server. */
    readonly name: string;
    /** @default "hmac-sha256" */
    readonly algorithm?: TsigAlgorithm;
    /** Base64, as tsig-keygen and keymgr print it. */
    readonly secret: SecretSource;
  };
  /** Who writes: unique among all installations that write to this server, and the same after a restart. */
  readonly agent: string;
  /** Where users' queries go, for people to see. @default - `server` */
  readonly endpoint?: string;
  /** Secondaries of the zones, `address:port`: a change is done when they have it. @default - none is waited for */
  readonly secondaries?: readonly string[];
  /** @default 5000 */
  readonly secondariesMs?: number;
  /** One update or query. @default 3000 */
  readonly requestMs?: number;
}

/** Options, checked, with defaults. */
export interface Settings extends Instance {
  readonly server: HostPort;
  readonly endpoint: HostPort;
  readonly zones: readonly string[];
  /** Read from where it is kept each time. @throws SpillwayError */
  readonly key: () => TsigKey;
  readonly agent: string;
  readonly weights: WeightOptions;
  readonly secondaries: readonly HostPort[];
  readonly secondariesMs: number;
  readonly requestMs: number;
}

/** @throws SpillwayError, SpillwayErrors for all that is wrong */
export function settingsOf(options: Rfc2136Options): Settings {
  throwProblems(optionProblems(options));
  const { key, addresses, uneven, tolerancePoints } = options;
  return {
    server: parseHostPort(options.server, 53),
    endpoint: parseHostPort(options.endpoint ?? options.server, 53),
    zones: options.zones.map(normalName),
    key: () => ({
      name: normalName(key.name),
      algorithm: key.algorithm ?? "hmac-sha256",
      secret: secretOf(key.name, key.secret),
    }),
    agent: options.agent,
    ...(options.instance === undefined ? {} : { instance: options.instance }),
    takeOver: options.takeOver ?? false,
    weights: {
      ...(addresses && { addresses }),
      ...(uneven && { uneven }),
      ...(tolerancePoints !== undefined && { tolerancePoints }),
    },
    secondaries: (options.secondaries ?? []).map((one) => parseHostPort(one, 53)),
    secondariesMs: options.secondariesMs ?? 5_000,
    requestMs: options.requestMs ?? 3_000,
  };
}

function secretOf(name: string, source: SecretSource): Buffer {
  const text = readSecret(source, `the secret of TSIG key "${name}"`);
  const secret = Buffer.from(text, "base64");
  const isBase64 = /^[A-Za-z0-9+/]+={0,2}$/.test(text) && secret.length > 0;
  if (isBase64) return secret;
  throwProblems([
    {
      place: "environment" in source ? `environment variable ${source.environment}` : source.file,
      problem: `the secret of TSIG key "${name}" is not base64`,
      mend: "Put the text after `secret` there, as tsig-keygen prints it, without quotes.",
    },
  ]);
  return secret;
}

function optionProblems(options: Rfc2136Options): ProblemReport[] {
  const problems: ProblemReport[] = [];
  const add = (attribute: string, problem: string, mend: string) =>
    problems.push({ place: "RFC 2136 options", problem, mend, attribute: [attribute] });
  if (options.agent === "")
    add("agent", "`agent` is empty", "Name the installation, as no other that writes to this server.");
  if (options.zones.length === 0) add("zones", "`zones` is empty", "Name the zones that records may be in.");
  for (const zone of options.zones) {
    const problem = nameProblem(zone);
    if (problem !== undefined) add("zones", `"${zone}" is no zone: ${problem}`, "Write it as example.com.");
  }
  const { key } = options;
  const keyProblem = nameProblem(key.name);
  if (keyProblem !== undefined)
    add("key", `"${key.name}" is no key's name: ${keyProblem}`, "Write it as it is called at the server.");
  if (key.algorithm !== undefined && !ALGORITHMS.includes(key.algorithm))
    add(
      "key",
      `\`algorithm\` must be one of ${ALGORITHMS.join(", ")}, got ${String(key.algorithm)}`,
      "Make such a key.",
    );
  return problems;
}
