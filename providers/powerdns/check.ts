import { SpillwayError, type ProblemReport } from "../../lib/errors";
import { ask, formatHostPort, rcodeOf } from "../dns";
import { PowerDnsApi, type ZoneView } from "./api";
import { settingsOf, type PowerDnsOptions, type Settings } from "./options";

/** What a look at a server found. */
export interface CheckResult {
  /** All that is wrong. With any that is of no zone nothing is written. */
  readonly problems: readonly ProblemReport[];
  /** Those of one zone each: nothing is written to it, and the others go on. */
  readonly zones: ReadonlyMap<string, readonly ProblemReport[]>;
  /** It works, but not as well as it could. */
  readonly warnings: readonly ProblemReport[];
}

const LEAST_VERSION = [4, 7] as const;
/** Health checks of a record that is gone go on for so long; a site that is taken down waits for quiet. */
const LONG_EXPIRY_SECONDS = 120;

/**
 * Looks whether this PowerDNS has all that is needed, and changes nothing. For `doctor`, and before anything is written.
 * @throws SpillwayError, SpillwayErrors for options that cannot be
 */
export function checkPowerDns(options: PowerDnsOptions): Promise<CheckResult> {
  return checkServer(settingsOf(options));
}

/** {@link checkPowerDns} with options that were checked already. */
export async function checkServer(settings: Settings, signal?: AbortSignal): Promise<CheckResult> {
  const api = new PowerDnsApi(settings, signal);
  const found = new Findings(`PowerDNS at ${settings.api}`);
  let configuration: ReadonlyMap<string, string>;
  try {
    const version = await api.version();
    if (isOlder(version)) {
      found.problem(`it has version ${version}`, `Version ${LEAST_VERSION.join(".")} or later is needed.`);
    }
    configuration = await api.configuration();
  } catch (error) {
    // The same for every further question.
    signal?.throwIfAborted();
    return { problems: [reportOf(error)], zones: new Map(), warnings: [] };
  }
  checkConfiguration(configuration, settings, found);
  const zones = new Map<string, readonly ProblemReport[]>();
  for (const zone of settings.zones) {
    signal?.throwIfAborted();
    const before = found.problems.length;
    try {
      checkZone(zone, await api.zone(zone, "none"), settings, found);
      await checkAnswers(zone, settings, found);
    } catch (error) {
      found.problems.push(reportOf(error));
    }
    if (found.problems.length > before) zones.set(zone, found.problems.slice(before));
  }
  return { problems: found.problems, zones, warnings: found.warnings };
}

function checkConfiguration(
  configuration: ReadonlyMap<string, string>,
  settings: Settings,
  found: Findings,
): void {
  const lua = configuration.get("enable-lua-records");
  const { health, select, warmUpMs, luaByZone } = settings;
  if (lua === "no" && !luaByZone) {
    found.problem(
      "it answers no LUA records (enable-lua-records=no)",
      "Set enable-lua-records=shared in its pdns.conf; or, where zones have the metadata ENABLE-LUA-RECORDS, set `luaByZone`.",
    );
  }
  if (lua === "yes") {
    found.warning(
      "enable-lua-records=yes makes a Lua state for each query: measured 976 answers a second instead of 36,675",
      "Set enable-lua-records=shared in its pdns.conf.",
    );
  }
  if (select === "client" && configuration.get("edns-subnet-processing") === "no") {
    found.problem(
      'edns-subnet-processing=no, but `select` is "client": all clients behind one resolver would count as one',
      'Set edns-subnet-processing=yes in its pdns.conf, or `select` to "random".',
    );
  }
  if (health === undefined) return;
  const intervalSeconds = Number(configuration.get("lua-health-checks-interval") ?? 5);
  const neededMs = 1_000 * (intervalSeconds + (health.timeoutSeconds ?? 2));
  if (neededMs > warmUpMs) {
    found.problem(
      `it checks every ${intervalSeconds} s, so a new address may be seen up only after ${neededMs} ms, and \`warmUpMs\` is ${warmUpMs}`,
      "Set lua-health-checks-interval=1 in its pdns.conf, or raise `warmUpMs`.",
    );
  }
  const expirySeconds = Number(configuration.get("lua-health-checks-expire-delay") ?? 3_600);
  if (expirySeconds > LONG_EXPIRY_SECONDS) {
    found.warning(
      `it goes on checking an address for ${expirySeconds} s after its last answer: a balancer that counts these checks as users is never quiet`,
      "Set lua-health-checks-expire-delay=60 in its pdns.conf, and name the users' `hosts` in the pool.",
    );
  }
}

function checkZone(zone: string, view: ZoneView, settings: Settings, found: Findings): void {
  if (view.kind === "Slave" || view.kind === "Secondary" || view.kind === "Consumer") {
    found.problem(
      `zone "${zone}" is a secondary there: what is written to it is lost with the next transfer`,
      "Give the API of its primary.",
    );
  }
  if (view.soa_edit_api === "" || view.soa_edit_api === "OFF") {
    found.problem(
      `zone "${zone}" keeps its serial when the API changes it (SOA-EDIT-API is ${view.soa_edit_api || "not set"}): secondaries would never follow`,
      `Run: pdnsutil set-meta ${zone} SOA-EDIT-API INCREASE`,
    );
  }
  if (view.kind === "Native" && settings.secondaries.length > 0) {
    found.problem(
      `zone "${zone}" is native: PowerDNS tells no secondary of its changes`,
      `Run: pdnsutil set-kind ${zone} primary, with primary=yes in pdns.conf; or leave out \`secondaries\` when they share its database.`,
    );
  }
}

async function checkAnswers(zone: string, settings: Settings, found: Findings): Promise<void> {
  const server = settings.endpoint;
  try {
    const answer = await ask(server, { name: zone, type: "SOA" });
    if (rcodeOf(answer) === 0 && answer.flag_aa && (answer.answers ?? []).length > 0) return;
    found.problem(
      `at ${formatHostPort(server)} zone "${zone}" is not answered with authority (code ${rcodeOf(answer)})`,
      "Correct `endpoint`: where this PowerDNS answers queries (local-address, local-port).",
    );
  } catch (error) {
    found.problem(
      `at ${formatHostPort(server)} queries are not answered: ${error instanceof Error ? error.message : String(error)}`,
      "Correct `endpoint`: where this PowerDNS answers queries (local-address, local-port).",
    );
  }
}

class Findings {
  readonly problems: ProblemReport[] = [];
  readonly warnings: ProblemReport[] = [];

  constructor(private readonly place: string) {}

  problem(problem: string, mend: string): void {
    this.problems.push({ place: this.place, problem, mend });
  }

  warning(problem: string, mend: string): void {
    this.warnings.push({ place: this.place, problem, mend });
  }
}

function reportOf(error: unknown): ProblemReport {
  if (error instanceof SpillwayError) return error.report;
  throw error;
}

function isOlder(version: string): boolean {
  const found = /^(\d+)\.(\d+)/.exec(version);
  // A build from the sources has no number (`0.0.…`, `git-…`): then it is not known.
  if (!found || Number(found[1]) === 0) return false;
  const [major, minor] = [Number(found[1]), Number(found[2])];
  return major < LEAST_VERSION[0] || (major === LEAST_VERSION[0] && minor < LEAST_VERSION[1]);
}
