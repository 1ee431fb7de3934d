const nothing = () => undefined;

/** What goes on at one name goes on one after the other, at different names at once; what concerns all names, alone. */
export class NamedMutex {
  private readonly last = new Map<string, Promise<unknown>>();
  private lastOfAll: Promise<unknown> = Promise.resolve();

  /** After everything begun before at this name, and at all. */
  at<T>(name: string, act: () => Promise<T>): Promise<T> {
    const done = Promise.all([this.last.get(name), this.lastOfAll]).then(act);
    const settled: Promise<unknown> = done.catch(nothing).then(() => {
      if (this.last.get(name) === settled) this.last.delete(name);
    });
    this.last.set(name, settled);
    return done;
  }

  /** After everything begun before, at any name. */
  run<T>(act: () => Promise<T>): Promise<T> {
    const done = Promise.all([...this.last.values(), this.lastOfAll]).then(act);
    this.lastOfAll = done.catch(nothing);
    return done;
  }
}
