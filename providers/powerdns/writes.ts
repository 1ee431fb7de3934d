import { isRefusal } from "../../lib/site/agent/problems";
import type { PowerDnsApi, RrSetChange } from "./api";

interface Waiting {
  readonly zone: string;
  readonly subject: string;
  readonly changes: readonly RrSetChange[];
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

/** A zone's one transaction costs the same for many records: nearly all of it is the database's sync. */
const MOST_AT_ONCE = 64;

/**
 * Changes, one transaction after the other: not every database of a PowerDNS bears two writers. What is asked for while one is under
 * way goes together with the next; of those that are refused together, each is tried alone.
 */
export class Writes {
  private waiting: Waiting[] = [];
  private isBusy = false;

  constructor(private readonly api: PowerDnsApi) {}

  /** All of `changes` or nothing. @throws SpillwayError as {@link PowerDnsApi.change} */
  change(zone: string, subject: string, changes: readonly RrSetChange[]): Promise<void> {
    return new Promise((done, failed) => {
      this.waiting.push({ zone, subject, changes, done, failed });
      if (!this.isBusy) void this.work();
    });
  }

  private async work(): Promise<void> {
    this.isBusy = true;
    for (let first = this.waiting[0]; first !== undefined; first = this.waiting[0]) {
      const { zone } = first;
      const together = this.waiting.filter((one) => one.zone === zone).slice(0, MOST_AT_ONCE);
      this.waiting = this.waiting.filter((one) => !together.includes(one));
      await this.write(together);
    }
    this.isBusy = false;
  }

  private async write(together: readonly Waiting[]): Promise<void> {
    const [{ zone, subject }] = together;
    try {
      await this.api.change(
        zone,
        subject,
        together.flatMap(({ changes }) => changes),
      );
      for (const { done } of together) done();
    } catch (error) {
      if (together.length > 1 && isRefusal(error)) for (const one of together) await this.write([one]);
      else for (const { failed } of together) failed(error);
    }
  }
}
