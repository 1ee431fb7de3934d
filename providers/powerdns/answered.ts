import { isIPv6 } from "node:net";
import { SpillwayError, messageOf } from "../../lib/errors";
import { ask, formatHostPort, rcodeOf, type HostPort } from "../dns";
import { normalName } from "../local/nameserver/names";

/** What the server answers for a name. @throws SpillwayError when it does not */
export async function answered(
  endpoint: HostPort,
  name: string,
  type: "A" | "AAAA" | "CNAME",
): Promise<{ readonly addresses: readonly string[]; readonly seen: string }> {
  try {
    const answer = await ask(endpoint, { name, type });
    const addresses = (answer.answers ?? []).flatMap((record) =>
      record.type === type && "data" in record ? [String(record.data)] : [],
    );
    return {
      addresses,
      seen: addresses.length > 0 ? addresses.join(", ") : `nothing (code ${rcodeOf(answer)})`,
    };
  } catch (error) {
    throw new SpillwayError(
      {
        place: `PowerDNS at ${formatHostPort(endpoint)}`,
        problem: `it was told to answer ${name}, and does not answer queries: ${messageOf(error)}`,
        mend: "Look whether pdns_server serves queries there; applying again goes on from what stands.",
      },
      { cause: error },
    );
  }
}

/** One address or host name in two spellings? */
export function isSame(one: string, other: string): boolean {
  const plain = (address: string) =>
    isIPv6(address) ? new URL(`http://[${address}]`).hostname : normalName(address);
  return plain(one) === plain(other);
}
