/**
 * The order in which the parts of an image are read: from its beginning to its end. Only when the link would wait for something to send,
 * those go first that most likely have something new.
 */
export class ScanOrder {
  private readonly isTaken: Uint8Array;
  private nextInOrder = 0;
  private nextNew = 0;

  /**
   * @param count of parts
   * @param isLikelyNew asked of parts, once or more often
   */
  constructor(
    private readonly count: number,
    private readonly isLikelyNew: (part: number) => boolean,
  ) {
    this.isTaken = new Uint8Array(count);
  }

  /** All parts before this one were taken. */
  get reached(): number {
    return this.nextInOrder;
  }

  /** The part to be read next; undefined when there is none left. */
  take(isLinkHungry: boolean): number | undefined {
    const part = (isLinkHungry ? this.findNew() : undefined) ?? this.findNext();
    if (part === undefined) return undefined;
    this.isTaken[part] = 1;
    this.findNext();
    return part;
  }

  private findNext(): number | undefined {
    while (this.nextInOrder < this.count && this.isTaken[this.nextInOrder]) this.nextInOrder++;
    return this.nextInOrder < this.count ? this.nextInOrder : undefined;
  }

  private findNew(): number | undefined {
    for (this.nextNew = Math.max(this.nextNew, this.nextInOrder); this.nextNew < this.count; this.nextNew++) {
      if (!this.isTaken[this.nextNew] && this.isLikelyNew(this.nextNew)) return this.nextNew;
    }
    return undefined;
  }
}
