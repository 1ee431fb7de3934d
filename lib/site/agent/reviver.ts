import { messageOf, SpillwayError, SpillwayErrors, type ProblemReport } from "../../errors";
import { sleep } from "../../wait";
import { AgentError } from "./problems";

const MAX_PAUSE_MS = 5_000;

/**
 * Starts a part of the site (balancer, name server), and starts it again when it does not answer: once for all who miss it, and not
 * too often for one that does not stay. What keeps it from starting is logged once, and again when it changes.
 */
export class Reviver {
  private trying: Promise<void> | undefined;
  private failures = 0;
  private notBefore = 0;
  /** Why it is not there; undefined while it is. */
  private trouble: unknown;
  private logged: string | undefined;
  private readonly stopping = new AbortController();
  private watching: Promise<void> = Promise.resolve();

  constructor(
    /** `the balancer` */
    private readonly name: string,
    private readonly start: () => Promise<void>,
    private readonly log: (line: string) => void,
  ) {}

  /**
   * The first start. One that `waits` is tried again every few seconds until it succeeds, and whoever needs the part meanwhile is
   * told why it is not there.
   * @throws what keeps it from starting, when it does not wait
   */
  async begin(waits: boolean): Promise<void> {
    try {
      await this.start();
    } catch (error) {
      if (!waits) throw error;
      this.failed(error);
    }
    this.watching = this.watch();
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.watching;
  }

  /** Did its last start go well? */
  get isThere(): boolean {
    return this.trouble === undefined;
  }

  /** What keeps it from starting; nothing while it is there. */
  get problems(): readonly ProblemReport[] {
    return this.isThere ? [] : reportsOf(this.trouble, this.name);
  }

  /** @throws AgentError `part-unavailable` with what keeps it from starting */
  mustBeThere(): void {
    if (!this.isThere) throw this.unavailable(this.trouble);
  }

  /** That it cannot be used, with its own problem and mend. */
  unavailable(why: unknown): AgentError {
    const reports = reportsOf(why, this.name);
    const all = (part: keyof Pick<ProblemReport, "place" | "problem" | "mend">) => [
      ...new Set(reports.map((report) => report[part])),
    ];
    return new AgentError(
      "part-unavailable",
      {
        place: all("place").join(", "),
        problem: `${this.name} cannot be used: ${all("problem").join("; ")}`,
        mend: all("mend").join(" "),
      },
      { cause: why },
    );
  }

  /** Resolves when it runs again, rejects with why it does not; at once when it was tried just now. */
  revive(why: unknown): Promise<void> {
    if (this.trying) return this.trying;
    if (Date.now() < this.notBefore) {
      const reason = this.trouble ?? why;
      return Promise.reject(reason instanceof Error ? reason : new Error(String(reason)));
    }
    if (this.isThere) this.log(`${this.name} does not answer, it is started again: ${messageOf(why)}`);
    this.trying = this.start().then(
      () => this.started(),
      (error: unknown) => {
        this.failed(error);
        throw error;
      },
    );
    return this.trying;
  }

  /** It answered. */
  answered(): void {
    if (this.failures > 0 && Date.now() > this.notBefore) this.failures = 0;
  }

  private started(): void {
    if (this.logged !== undefined) this.log(`${this.name} is there`);
    this.trouble = undefined;
    this.logged = undefined;
    this.tried();
  }

  private failed(error: unknown): void {
    this.trouble = error;
    const told = this.problems
      .map(({ place, problem, mend }) => `${problem} (at ${place}). ${mend}`)
      .join(" | ");
    if (told !== this.logged) this.log(`${this.name} cannot be used, and is tried again: ${told}`);
    this.logged = told;
    this.tried();
  }

  private tried(): void {
    this.trying = undefined;
    this.failures++;
    // Also after a start that went well: one that dies over and over is not restarted in a tight loop.
    this.notBefore = Date.now() + Math.min(250 * 2 ** this.failures, MAX_PAUSE_MS);
  }

  /** Nobody may ask for it until it is there. */
  private async watch(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      await sleep(Math.max(this.notBefore - Date.now(), 250), signal).catch(() => undefined);
      if (!signal.aborted && !this.isThere) await this.revive(this.trouble).catch(() => undefined);
    }
  }
}

function reportsOf(error: unknown, name: string): readonly ProblemReport[] {
  if (error instanceof SpillwayErrors) return error.errors.map(({ report }) => report);
  if (error instanceof SpillwayError) return [error.report];
  return [{ place: name, problem: messageOf(error), mend: "The agent goes on trying; its log says more." }];
}
