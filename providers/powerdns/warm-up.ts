import { sleep } from "../../lib/wait";
import { messageOf } from "../../lib/errors";
import { ask, type HostPort } from "../dns";
import { healthName } from "./lua";

const LOOK_MS = 100;

/** What PowerDNS sees of each address, as its health record says. */
export async function healthSeen(endpoint: HostPort, name: string): Promise<ReadonlyMap<string, boolean>> {
  const { answers } = await ask(endpoint, { name: healthName(name), type: "TXT" });
  const seen = new Map<string, boolean>();
  for (const answer of answers ?? []) {
    if (answer.type !== "TXT") continue;
    const [address, state] = Buffer.concat([answer.data].flat().map((part) => Buffer.from(part)))
      .toString("latin1")
      .split(" ");
    seen.set(address, state === "up");
  }
  return seen;
}

/** How a warm-up ended. */
export interface WarmUp {
  readonly down: readonly string[];
  /** For a person. */
  readonly seen: string;
}

/**
 * Asks until all addresses are up. The first question begins the checks: before their first round PowerDNS counts an address as
 * down.
 * @throws AbortedError
 */
export async function warmUp(
  endpoint: HostPort,
  name: string,
  addresses: readonly string[],
  deadlineMs: number,
  signal?: AbortSignal,
): Promise<WarmUp> {
  const until = Date.now() + deadlineMs;
  for (;;) {
    let down = addresses;
    let seen = "";
    try {
      const health = await healthSeen(endpoint, name);
      down = addresses.filter((address) => health.get(address) !== true);
      seen =
        [...health]
          .map(([address, up]) => `${address} ${up ? "up" : "down"}`)
          .sort()
          .join(", ") || "no health record is answered";
    } catch (error) {
      seen = messageOf(error);
    }
    if (down.length === 0 || Date.now() >= until) return { down, seen };
    await sleep(LOOK_MS, signal);
  }
}
