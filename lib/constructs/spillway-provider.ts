import { TerraformStack } from "cdktf";
import { Construct } from "constructs";
import { SpillwayProvider as ProviderBinding } from "./bindings/provider";
import { pathFromStack } from "./image";
import type { Site } from "./site";
import { refuse, rule } from "./validate";

const DEFAULT_ID = "spillway";

export interface SpillwayProviderProps {
  /**
   * Sites that are configured even if no construct of the stack uses them.
   * @default - the sites that constructs of the stack use
   */
  readonly sites?: readonly Site[];
  /**
   * The Prometheus that gates' `openWhen` and `users` are asked of.
   * @default - none: a gate with queries is refused by the plan
   */
  readonly prometheus?: PrometheusAccess;
}

/** How a Prometheus is asked. Secrets are in files or in the environment, never here. */
export interface PrometheusAccess {
  /** `http://127.0.0.1:9090` */
  readonly endpoint: string;
  readonly tokenFile?: string;
  readonly tokenEnv?: string;
  readonly user?: string;
  readonly passwordFile?: string;
  readonly passwordEnv?: string;
  /** PEM file of the authority that signed its certificate. @default - the system's */
  readonly caFile?: string;
}

/**
 * The Terraform provider of a stack. It is there by itself as soon as a construct needs it; declare it only to name further sites.
 *
 * @example
 * new SpillwayProvider(stack, "spillway", { sites: [onprem, cloud] });
 */
export class SpillwayProvider extends Construct {
  /** The generated class, for what this one does not offer. */
  readonly resource: ProviderBinding;
  private readonly sites = new Map<string, Site>();

  /**
   * The stack's provider, made if need be.
   * @internal
   */
  static of(scope: Construct): SpillwayProvider {
    const stack = TerraformStack.of(scope);
    const present = stack.node.children.find((child) => child instanceof SpillwayProvider);
    return present ?? new SpillwayProvider(stack, DEFAULT_ID);
  }

  constructor(scope: Construct, id: string, props: SpillwayProviderProps = {}) {
    super(scope, id);
    const others = TerraformStack.of(this).node.children.filter(
      (child) => child instanceof SpillwayProvider && child !== this,
    );
    refuse(this.node.path, [
      rule(
        others.length === 0,
        "SpillwayProvider",
        `is in this stack already, at ${others[0]?.node.path}`,
        "Declare it once, before the constructs that use it.",
      ),
    ]);
    this.resource = new ProviderBinding(this, "Resource", { prometheus: props.prometheus });
    for (const site of props.sites ?? []) this.use(site);
  }

  /**
   * Puts a site into the provider's configuration. Constructs do this for the sites that they use.
   * @throws SpillwayError if another site has its name
   */
  use(site: Site): void {
    const present = this.sites.get(site.name);
    refuse(this.node.path, [
      rule(
        !present ||
          JSON.stringify([present.access, present.address]) === JSON.stringify([site.access, site.address]),
        `sites.${site.name}`,
        `means two places: ${present?.access.endpoint} and ${site.access.endpoint}`,
        "Give each site a name of its own, or use one Site for both.",
      ),
    ]);
    if (present) return;
    this.sites.set(site.name, site);
    const { endpoint, tokenFile, tokenEnv, caFile } = site.access;
    const settings = {
      endpoint,
      token_file: tokenFile && pathFromStack(this, tokenFile),
      token_env: tokenEnv,
      ca_file: caFile && pathFromStack(this, caFile),
    };
    // As an override, because CDKTF rewrites the keys of a map prop and would turn `rented-rack` into `rented_rack`.
    this.resource.addOverride(
      `sites.${site.name}`,
      Object.fromEntries(Object.entries(settings).filter(([, value]) => value)),
    );
  }
}
