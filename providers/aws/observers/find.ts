import { observerClients } from "./clients";
import { findTargetGroup } from "./looks";

/** The ARN of a target group, by its name. Undefined: there is none. @throws QueryError, AbortedError */
export async function findTargetGroupByName(
  region: string,
  name: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const clients = observerClients(region);
  try {
    const place = `target group ${name} in ${region}`;
    return (await findTargetGroup({ clients, place, signal }, { name }))?.TargetGroupArn;
  } finally {
    clients.close();
  }
}
