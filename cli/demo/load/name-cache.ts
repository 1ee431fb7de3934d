import type { AddressAnswer } from "./dns-client";

/** What one user's resolver remembers: one name, for as long as the answer may be kept (or, for some, far longer). */
export class NameCache {
  private kept: { readonly address: string; readonly untilMs: number } | undefined;
  private asking: Promise<string> | undefined;

  /**
   * @param ask one real query
   * @param ttlFactor 1 for a resolver that honours the TTL; more for one that does not
   */
  constructor(
    private readonly ask: () => Promise<AddressAnswer>,
    private readonly ttlFactor: number,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** The address to use now. Requests that come while a query is under way share it. */
  resolve(): Promise<string> {
    if (this.kept && this.now() < this.kept.untilMs) return Promise.resolve(this.kept.address);
    this.asking ??= this.ask()
      .then((answer) => {
        this.kept = {
          address: answer.address,
          untilMs: this.now() + answer.ttlSeconds * 1_000 * this.ttlFactor,
        };
        return answer.address;
      })
      .finally(() => {
        this.asking = undefined;
      });
    return this.asking;
  }
}
