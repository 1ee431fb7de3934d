interface Holder {
  readonly first: number;
  readonly end: number;
  readonly done: Promise<unknown>;
}

/** Lets work on ranges that do not overlap run at once, and the others in the order they were asked for. */
export class RangeLock {
  private readonly holders = new Set<Holder>();

  /** Is anything going on (or waiting to) within the range? */
  isTaken(first: number, count: number): boolean {
    return this.overlapping(first, first + count).length > 0;
  }

  async run<T>(first: number, count: number, work: () => Promise<T>): Promise<T> {
    const before = this.overlapping(first, first + count);
    const running = Promise.all(before.map((holder) => holder.done)).then(work);
    const holder: Holder = { first, end: first + count, done: running.catch(() => undefined) };
    this.holders.add(holder);
    try {
      return await running;
    } finally {
      this.holders.delete(holder);
    }
  }

  private overlapping(first: number, end: number): Holder[] {
    return [...this.holders].filter((holder) => holder.first < end && first < holder.end);
  }
}
