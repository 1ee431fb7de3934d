import { messageOf, type ProblemReport } from "../../errors";

/** Work that nobody waits for, as it is told of when it fails. */
export interface UnwatchedWork {
  readonly place: string;
  /** What failed then, in a sentence without its end. */
  readonly failure: string;
  readonly mend: string;
}

/** What a store does of its own accord: what goes wrong in it ends nothing else, and is told. */
export class Unwatched {
  private readonly atWork = new Set<Promise<unknown>>();

  constructor(readonly tell: (report: ProblemReport) => void = () => undefined) {}

  async run({ place, failure, mend }: UnwatchedWork, work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.tell({ place, problem: `${failure}: ${messageOf(error)}`, mend });
    }
  }

  /** {@link done} waits for it. */
  track<T>(work: Promise<T>): Promise<T> {
    const tracked = work.finally(() => this.atWork.delete(tracked));
    this.atWork.add(tracked);
    return tracked;
  }

  async done(): Promise<void> {
    while (this.atWork.size > 0) await Promise.allSettled(this.atWork);
  }
}
