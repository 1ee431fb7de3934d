/** Runs work for one key at a time, in the order it was asked for. */
export class KeyedLock {
  private readonly tails = new Map<string, Promise<unknown>>();

  run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.tails.get(key) ?? Promise.resolve();
    const running = before.then(work, work);
    const tail = running
      .catch(() => undefined)
      .then(() => {
        if (this.tails.get(key) === tail) this.tails.delete(key);
      });
    this.tails.set(key, tail);
    return running;
  }

  /** Begins the work at once, or not at all. @returns undefined while other work for the key goes on */
  tryRun<T>(key: string, work: () => Promise<T>): Promise<T> | undefined {
    if (this.tails.has(key)) return undefined;
    const running = work();
    void this.run(key, () => running.catch(() => undefined));
    return running;
  }
}

/** Lets so many work at once, and the others wait in line. */
export class Semaphore {
  private readonly waiting: (() => void)[] = [];

  constructor(private free: number) {}

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.free > 0) this.free--;
    else await new Promise<void>((resolve) => this.waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.waiting.shift();
      if (next) next();
      else this.free++;
    }
  }
}
