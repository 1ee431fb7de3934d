import type { Lab } from "./lab";

export interface BurstOptions {
  /** @default "1s" */
  readonly quietPeriod?: string;
  /** Seconds. @default 1 */
  readonly ttl?: number;
  readonly gate?: object;
  readonly record?: object;
  readonly pool?: object;
  /** @default true */
  readonly createBeforeDestroy?: boolean;
}

/** A whole burst in Terraform's JSON syntax, like the one the constructs make. `var.shop` says what is desired. */
export function burst(lab: Lab, options: BurstOptions = {}): object {
  const lifecycle =
    (options.createBeforeDestroy ?? true) ? { lifecycle: { create_before_destroy: true } } : {};
  const when = "${var.shop.burst ? 1 : 0}";
  const monitor = { interval: "100ms", timeout: "1s", rise: 1, fall: 2 };
  const pool = {
    listen: { address: "127.0.2.1", port: lab.port },
    ...{ monitor, session_idle: "300ms", drain_timeout: "10s", affinity: "none", ...options.pool },
  };
  return {
    terraform: { required_providers: { spillway: { source: "spillway/spillway" } } },
    provider: { spillway: { sites: sitesOf(lab) } },
    variable: {
      shop: {
        type: "object({ burst = bool, cloud_members = number, weights = map(number), image_digest = string, reason = string })",
        default: {
          burst: false,
          cloud_members: 1,
          weights: { onprem: 100 },
          image_digest: null,
          reason: "quiet",
        },
      },
    },
    resource: {
      spillway_image_replica: {
        home: { site: "onprem", source: lab.image.path },
        cloud: { count: when, site: "cloud", source: lab.image.path, ...lifecycle },
      },
      spillway_pool: {
        home: {
          ...pool,
          ...{
            site: "onprem",
            name: "shop",
            members: 1,
            image_digest: "${spillway_image_replica.home.digest}",
          },
          listen: { address: "127.0.1.1", port: lab.port },
        },
        cloud: {
          ...{ count: when, site: "cloud", name: "shop", members: "${var.shop.cloud_members}" },
          image_digest: "${spillway_image_replica.cloud[0].digest}",
          ...pool,
          ...lifecycle,
        },
      },
      spillway_gate: {
        cloud: {
          ...{
            count: when,
            pool: "${spillway_pool.cloud[0].id}",
            monitor: { interval: "100ms" },
            successes: 2,
          },
          ...{ quiet_period: options.quietPeriod ?? "1s", record_ttl: options.ttl ?? 1, ...options.gate },
          ...lifecycle,
        },
      },
      spillway_global_record: {
        shop: {
          ...{ name: "shop.example.test", name_server: "onprem", ttl: options.ttl ?? 1 },
          answers:
            '${concat([{ site = "onprem", address = "127.0.1.1", weight = var.shop.weights["onprem"], pool = spillway_pool.home.id, gate = null }], ' +
            'contains(keys(var.shop.weights), "cloud") ? [{ site = "cloud", address = "127.0.2.1", weight = var.shop.weights["cloud"], pool = spillway_pool.cloud[0].id, gate = spillway_gate.cloud[0].id }] : [])}',
          ...options.record,
        },
      },
    },
    output: { decision: { value: "${var.shop.reason}" } },
  };
}

export function sitesOf(lab: Lab): object {
  return {
    onprem: { endpoint: lab.home.endpoint, token_file: lab.home.tokenFile },
    cloud: { endpoint: lab.cloud.endpoint, token_file: lab.cloud.tokenFile },
  };
}

/** `-var` for each state of the burst. */
export const QUIET = variable({ burst: false, weights: { onprem: 100 }, reason: "quiet" });
export const BURST = variable({ burst: true, weights: { onprem: 50, cloud: 50 }, reason: "demand" });

export function variable(desired: {
  burst: boolean;
  weights: object;
  reason: string;
  cloud_members?: number;
}): string {
  return `-var=shop=${JSON.stringify({ cloud_members: 1, image_digest: null, ...desired })}`;
}
