import { usersIn, type NamedQueries, type QueryObserver } from "../../observers";
import { askPatiently } from "../queries";

/** What is scraped every few seconds is not asked for more often than that. */
const ASK_EVERY_MS = 1_000;

/** Users whom others than the balancer see: each query must have said 0 all through the quiet period. Unknown is not 0. */
export class OtherEyes {
  private zeroSince: number | undefined;
  private askedAt = -Infinity;
  private seen: string | undefined = "it was not asked yet";

  constructor(
    private readonly observer: QueryObserver,
    private readonly queries: NamedQueries,
  ) {}

  /**
   * Asks them all, if that was not done a moment ago.
   * @returns milliseconds for which all have said 0, and what keeps them from it
   * @throws QueryError for a query that is wrong as it is written
   * @throws AbortedError
   */
  async look(signal: AbortSignal): Promise<{ readonly quietMs: number; readonly problem?: string }> {
    if (Date.now() - this.askedAt >= ASK_EVERY_MS) {
      this.askedAt = Date.now();
      const looks = Object.entries(this.queries).map(([name, query]) => this.ask(name, query, signal));
      this.seen = (await Promise.all(looks)).find((what) => what !== undefined);
      if (this.seen !== undefined) this.zeroSince = undefined;
      else this.zeroSince ??= this.askedAt;
    }
    if (this.seen !== undefined) return { quietMs: 0, problem: this.seen };
    // Only as far as the last answer: nobody looked since.
    return { quietMs: this.zeroSince === undefined ? 0 : this.askedAt - this.zeroSince };
  }

  private async ask(name: string, query: string, signal: AbortSignal): Promise<string | undefined> {
    const answer = await askPatiently(this.observer, query, signal);
    const users = "problem" in answer ? undefined : usersIn(answer.samples);
    if (users === 0) return undefined;
    if (users !== undefined) return `\`users\` "${name}" still sees ${users}`;
    const why = "problem" in answer ? answer.problem : "it gives no number, which is not 0";
    return `\`users\` "${name}" cannot tell: ${why}`;
  }
}
