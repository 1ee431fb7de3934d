import { setMaxListeners } from "node:events";
import { rm, stat } from "node:fs/promises";
import { AbortedError } from "../../errors";
import { sleep } from "../../wait";
import type { ImageTarget } from "../wire/target";
import { FormatError } from "../errors";
import { fetchIndex } from "./fetch-index";
import type { ImageCache } from "./image-cache";

/** So many are fetched at once. */
const AT_ONCE = 4;
/** And so many at most for one push: of what is older, more is sent than would have to be. */
const MOST_FETCHED = 32;
/** One that is not here by then is given up: it takes long to be made there, or the far side does not mean well. */
const LONGEST_FETCH_MS = 10 * 60_000;
/** Of all that one push fetches, when that much is here, no more is begun. */
const ENOUGH_BYTES = 2 ** 31;
/** A connection that breaks is nothing unusual. */
const TRIES = 3;
const PAUSE_MS = 400;
const SAY_MS = 1_000;

/** What an image consists of that the far side holds. */
export interface HeldIndex {
  readonly digest: string;
  readonly path: string;
  /** False: it is the target's word. Its leaves are those of the image all the same. */
  readonly isOwn: boolean;
}

export interface HeldIndexesOptions {
  /** Digests of what the far side holds, the most useful first. */
  readonly images: readonly string[];
  readonly cache: ImageCache;
  readonly target: ImageTarget;
  /** Tells targets apart; empty: what it says is not kept. */
  readonly targetName: string;
  readonly signal?: AbortSignal;
  /** The caller waits no longer than so for those that have to be fetched. */
  readonly waitMs: number;
  readonly tell?: (message: () => string) => void;
}

/**
 * The indexes of what a target holds: those that this side made, else those that the target gave before, else it is asked for them.
 * Of one that cannot be had, only more is sent than would have to be.
 */
export class HeldIndexes {
  private readonly found = new Map<string, HeldIndex>();
  private readonly missing: string[] = [];
  private readonly stop = new AbortController();
  private readonly signal: AbortSignal;
  private readonly temporary: string[] = [];
  private workers: Promise<unknown> = Promise.resolve();
  private bytes = 0;
  private asked = 0;
  private isLate = false;
  private answered = 0;
  private onLate: ((index: HeldIndex) => Promise<void>) | undefined;

  private constructor(private readonly options: HeldIndexesOptions) {
    const { signal } = options;
    this.signal = signal ? AbortSignal.any([signal, this.stop.signal]) : this.stop.signal;
    setMaxListeners(0, this.signal);
  }

  /** @throws AbortedError */
  static async open(options: HeldIndexesOptions): Promise<HeldIndexes> {
    const indexes = new HeldIndexes(options);
    try {
      await indexes.gather();
      return indexes;
    } catch (error) {
      await indexes.close();
      throw error;
    }
  }

  /** Those that are here, the most useful first. */
  get ready(): readonly HeldIndex[] {
    return this.options.images.flatMap((digest) => this.found.get(digest) ?? []);
  }

  /** Has those that come later put to use. What was begun goes on until {@link close}; the others are asked for the next time. */
  whenLate(use: (index: HeldIndex) => Promise<void>): void {
    this.onLate = use;
  }

  /** Gives up what has not come. */
  async close(): Promise<void> {
    this.stop.abort();
    await this.workers;
    for (const path of this.temporary) await rm(path, { force: true }).catch(() => undefined);
  }

  private async gather(): Promise<void> {
    const { images, cache, targetName, waitMs, signal } = this.options;
    for (const digest of images) {
      const own = await cache.index(digest);
      const path = own ?? (await cache.toldIndex(digest, targetName));
      if (path !== undefined) this.found.set(digest, { digest, path, isOwn: own !== undefined });
      else if (this.missing.length < MOST_FETCHED) this.missing.push(digest);
    }
    this.asked = this.missing.length;
    if (this.asked === 0) return;
    this.workers = Promise.all(Array.from({ length: AT_ONCE }, () => this.work()));
    const over = new AbortController();
    const wait = sleep(waitMs, AbortSignal.any([over.signal, this.signal])).catch(() => undefined);
    const saying = setInterval(() => this.say(), SAY_MS);
    this.say();
    try {
      await Promise.race([this.workers, wait]);
    } finally {
      clearInterval(saying);
      this.isLate = true;
      over.abort();
    }
    if (signal?.aborted) throw new AbortedError("stopped while asking what the far side holds");
  }

  private async work(): Promise<void> {
    for (;;) {
      const isEnough = this.isLate || this.bytes > ENOUGH_BYTES || this.signal.aborted;
      const digest = isEnough ? undefined : this.missing.shift();
      if (digest === undefined) return;
      const index = await this.fetch(digest).catch(() => undefined);
      this.answered++;
      if (!index) continue;
      if (this.onLate) await this.onLate(index).catch(() => undefined);
      else this.found.set(digest, index);
    }
  }

  private async fetch(digest: string): Promise<HeldIndex | undefined> {
    const { cache, target, targetName } = this.options;
    const draft = await cache.draft();
    const signal = AbortSignal.any([this.signal, AbortSignal.timeout(LONGEST_FETCH_MS)]);
    const isThere = await tryAgain(() => fetchIndex(target, digest, draft, signal), signal);
    if (!isThere) return undefined;
    this.bytes += (await stat(draft)).size;
    const path = await cache.keepToldIndex(draft, digest, targetName);
    if (path === draft) this.temporary.push(draft);
    return { digest, path, isOwn: false };
  }

  private say(): void {
    const { targetName, tell } = this.options;
    const whom = targetName === "" ? "the far side" : targetName;
    tell?.(() => `asking ${whom} what it holds: ${this.answered} of ${this.asked}`);
  }
}

/** Who gives what is no index, gives it again. */
async function tryAgain<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (error instanceof FormatError || signal.aborted || attempt === TRIES) throw error;
      await sleep(PAUSE_MS * attempt, signal);
    }
  }
}
