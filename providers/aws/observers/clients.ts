import { AutoScalingClient } from "@aws-sdk/client-auto-scaling";
import { CloudWatchClient } from "@aws-sdk/client-cloudwatch";
import { ElasticLoadBalancingV2Client } from "@aws-sdk/client-elastic-load-balancing-v2";
import { observerError } from "./errors";

const CONNECT_MS = 5_000;
const ANSWER_MS = 10_000;
const ignore = () => undefined;

/** How every client of AWS asks here: once, since who looks looks again; not for long; and it prints nothing. */
export function clientConfig(region: string | undefined) {
  // The client would print how long its makers support this Node, for the users of whatever uses it.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= "true";
  return {
    region: region ?? process.env.AWS_REGION ?? process.env.AWS_DEFAULT_REGION,
    maxAttempts: 1,
    logger: { trace: ignore, debug: ignore, info: ignore, warn: ignore, error: ignore },
    requestHandler: { connectionTimeout: CONNECT_MS, socketTimeout: ANSWER_MS },
  };
}

/** What a pool on AWS is seen through. */
export interface ObserverClients {
  readonly balancing: ElasticLoadBalancingV2Client;
  readonly scaling: AutoScalingClient;
  readonly metrics: CloudWatchClient;
  close(): void;
}

/** Asks nobody. */
export function observerClients(region: string): ObserverClients {
  const config = clientConfig(region);
  const balancing = new ElasticLoadBalancingV2Client(config);
  const scaling = new AutoScalingClient(config);
  const metrics = new CloudWatchClient(config);
  const close = () => [balancing, scaling, metrics].forEach((client) => client.destroy());
  return { balancing, scaling, metrics, close };
}

/**
 * Asks once, within a time.
 * @param action IAM's name for it
 * @throws QueryError, AbortedError
 */
export async function ask<T>(
  {
    place,
    action,
    signal,
  }: { readonly place: string; readonly action: string; readonly signal: AbortSignal },
  send: (options: { readonly abortSignal: AbortSignal }) => Promise<T>,
  absent?: (error: unknown) => T | undefined,
): Promise<T> {
  try {
    return await send({ abortSignal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]) });
  } catch (error) {
    const instead = absent?.(error);
    if (instead !== undefined) return instead;
    throw observerError(error, place, action, signal);
  }
}
