import { messageOf } from "../../errors";

const MAX_PAUSE_MS = 10_000;

/**
 * Starts a helper process (balancer, name server) again when it does not answer: once for all who miss it, and not too often for
 * one that does not stay.
 */
export class Reviver {
  private trying: Promise<void> | undefined;
  private failures = 0;
  private notBefore = 0;

  constructor(
    private readonly name: string,
    private readonly start: () => Promise<void>,
    private readonly log: (line: string) => void,
  ) {}

  /** Resolves when it runs again, rejects with why it does not; at once when it was tried just now. */
  revive(why: unknown): Promise<void> {
    if (this.trying) return this.trying;
    if (Date.now() < this.notBefore)
      return Promise.reject(why instanceof Error ? why : new Error(String(why)));
    this.log(`${this.name} does not answer, it is started again: ${messageOf(why)}`);
    this.trying = this.start().then(
      () => this.tried(undefined),
      (error: unknown) => this.tried(error),
    );
    return this.trying;
  }

  private tried(error: unknown): void {
    this.trying = undefined;
    this.failures++;
    // Also after a start that went well: one that dies over and over is not restarted in a tight loop.
    this.notBefore = Date.now() + Math.min(250 * 2 ** this.failures, MAX_PAUSE_MS);
    if (error !== undefined) throw error;
  }

  /** It answered. */
  answered(): void {
    if (this.failures > 0 && Date.now() > this.notBefore) this.failures = 0;
  }
}
