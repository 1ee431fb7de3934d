import type { SiteDirectory } from "../../site/client";
import type { StepContext } from "../../wait";
import { ONE_LOOK } from "../patience";

/** A TTL that was lowered is kept low for its own length at least; it is asked for again long before that is over. */
const ASK_AGAIN_MS = 10_000;

/**
 * Has the TTL of records lowered ahead of a shift, and keeps it low while one is foreseen, so that users follow sooner. Nothing
 * depends on it: a name server that cannot do it, or does not answer, shifts as well, only more slowly.
 */
export class ShiftAhead {
  private askedAt = -Infinity;

  constructor(
    private readonly sites: Pick<SiteDirectory, "names" | "get">,
    private readonly context: StepContext,
  ) {}

  /** A shift of these names is to come. Asks now and then, waits for nothing, and never throws. */
  foresee(names: readonly string[], now = Date.now()): void {
    if (names.length === 0 || now - this.askedAt < ASK_AGAIN_MS) return;
    this.askedAt = now;
    for (const site of this.sites.names) for (const name of names) void this.prepare(site, name);
  }

  private async prepare(site: string, name: string): Promise<void> {
    try {
      const options = { ...ONE_LOOK, signal: this.context.signal };
      const prepared = await this.sites.get(site).prepareShift(name, options);
      if (prepared?.readyAt === undefined) return;
      const seconds = Math.max(0, Math.ceil((prepared.readyAt - Date.now()) / 1_000));
      const message = `its TTL is lowered ahead of the shift; in ${seconds} s all caches hold the lower one`;
      this.context.progress({ step: "direct", subject: name, message });
    } catch {
      // It goes without: the put lowers the TTL itself.
    }
  }
}
