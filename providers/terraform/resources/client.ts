import { resolve } from "node:path";
import type { ProblemReport } from "../../../lib/errors";
import type { QueryObserver } from "../../../lib/observers";
import { SiteDirectory, type TransportOptions } from "../../../lib/site/client";
import { replicaId } from "../../../lib/steps";
import { PrometheusObserver } from "../../prometheus";
import { Diagnostic, isUnknown, isWhollyKnown, type Path, type Unknown } from "../plugin";
import { prometheusOptions, type PrometheusConfig } from "./prometheus";

/** For so long a site that said nothing is not asked again by a refresh. */
const SILENCE_MS = 10_000;

/** What the resources get: the sites, and what this one Terraform command has seen so far. */
export class Client {
  /** Replicas that this plan will make: their images are not there yet, and will be when they are needed. */
  private readonly promised = new Set<string>();
  /** Sites that were silent a moment ago, and how. */
  private readonly silences = new Map<string, { readonly problem: string; readonly at: number }>();

  /** What was found of each site's balancer a moment ago. */
  private readonly balancers = new Map<
    string,
    { readonly found: Promise<readonly ProblemReport[]>; readonly at: number }
  >();

  constructor(
    /** Those whose configuration is known. */
    readonly sites: SiteDirectory,
    /** Sites whose configuration only an apply will tell; `all` when even their names are not known. */
    private readonly openSites: ReadonlySet<string> | "all",
    /** Relative paths of attributes are relative to it. */
    private readonly directory: string,
    /** `unknown`: only an apply will tell. */
    private readonly prometheus?: QueryObserver | "unknown",
  ) {}

  /**
   * Whom to ask for queries; undefined when there are none, or when the configuration is not known yet.
   * @throws Diagnostic when there are queries and no Prometheus is configured
   */
  queryObserver(queries: object | null | undefined, attribute: string): QueryObserver | undefined {
    if (!queries || Object.keys(queries).length === 0 || this.prometheus === "unknown") return undefined;
    if (this.prometheus) return this.prometheus;
    throw new Diagnostic({
      summary: `\`${attribute}\` has queries, and no Prometheus is configured to ask them`,
      detail: "Add `prometheus = { endpoint = … }` to the provider `spillway`.",
      path: [attribute],
    });
  }

  path(path: string): string {
    return resolve(this.directory, path);
  }

  /**
   * Can this site be asked while planning? False when its name or its configuration is not known yet.
   * @throws Diagnostic for a site that is not configured
   */
  canAsk(site: string | Unknown, path: Path): site is string {
    if (isUnknown(site)) return false;
    if (this.sites.has(site)) return true;
    if (this.openSites === "all" || this.openSites.has(site)) return false;
    const known = this.sites.names.map((name) => `"${name}"`).join(", ");
    throw new Diagnostic({
      summary: `No site "${site}" is configured; known sites: ${known || "none"}`,
      detail: "Use one of the known names, or add the site to `sites` of the provider `spillway`.",
      path,
    });
  }

  promise(site: string, digest: string): void {
    this.promised.add(replicaId(site, digest));
  }

  /** A site said nothing: the many resources there need not each find that out. */
  noteSilence(site: string, problem: string): void {
    this.silences.set(site, { problem, at: performance.now() });
  }

  /** How a site was silent a moment ago, if it was. */
  silenceOf(site: string): string | undefined {
    const silence = this.silences.get(site);
    return silence && performance.now() - silence.at < SILENCE_MS ? silence.problem : undefined;
  }

  /** What is wrong with a site's balancer, looked at once for the many pools there. */
  balancerProblems(
    site: string,
    look: () => Promise<readonly ProblemReport[]>,
  ): Promise<readonly ProblemReport[]> {
    const last = this.balancers.get(site);
    if (last && performance.now() - last.at < SILENCE_MS) return last.found;
    const found = look();
    this.balancers.set(site, { found, at: performance.now() });
    return found;
  }

  isPromised(site: string, digest: string): boolean {
    return this.promised.has(replicaId(site, digest));
  }
}

/** The configuration of one site, as far as it is known. */
export interface SiteConfig {
  readonly endpoint: string | Unknown;
  readonly token_file: string | Unknown | null;
  readonly token_env: string | Unknown | null;
  readonly ca_file: string | Unknown | null;
}

/** Makes the client from the provider's configuration. Asks nobody. */
export function makeClient(
  sites: Readonly<Record<string, SiteConfig | Unknown>> | Unknown | null,
  directory: string,
  patience?: TransportOptions,
  prometheus?: object | Unknown | null,
): Client {
  const observer = observerOf(prometheus, directory);
  if (isUnknown(sites)) return new Client(new SiteDirectory({}), "all", directory, observer);
  const known: Record<string, { endpoint: string; tokenFile?: string; tokenEnv?: string; caFile?: string }> =
    {};
  const open = new Set<string>();
  for (const [name, site] of Object.entries(sites ?? {})) {
    if (!isWhollyKnown(site)) {
      open.add(name);
      continue;
    }
    const { endpoint, token_file: tokenFile, token_env: tokenEnv, ca_file: caFile } = site as SiteConfigKnown;
    known[name] = {
      endpoint,
      ...(tokenFile === null ? {} : { tokenFile: resolve(directory, tokenFile) }),
      ...(tokenEnv === null ? {} : { tokenEnv }),
      ...(caFile === null ? {} : { caFile: resolve(directory, caFile) }),
    };
  }
  return new Client(new SiteDirectory(known, patience), open, directory, observer);
}

function observerOf(
  config: object | Unknown | null | undefined,
  directory: string,
): QueryObserver | "unknown" | undefined {
  if (config === null || config === undefined) return undefined;
  if (!isWhollyKnown(config)) return "unknown";
  return new PrometheusObserver(prometheusOptions(config as PrometheusConfig, directory));
}

type SiteConfigKnown = { readonly [N in keyof SiteConfig]: Exclude<SiteConfig[N], Unknown> };
