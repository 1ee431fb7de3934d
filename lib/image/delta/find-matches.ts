import { setImmediate as nextTurn } from "node:timers/promises";
import type { Candidate, DeltaIndex } from "./delta-index";
import { PAGE_BYTES, type DeltaBase, type PageCache } from "./page-cache";

/** Bytes of the block that are also in a base. */
export interface Match {
  /** In the block. */
  readonly at: number;
  readonly length: number;
  readonly base: number;
  readonly offset: number;
}

/**
 * Says whether bytes of a base may be referred to: blocks of the same image that the far side has not acknowledged may not. It is
 * asked about pieces that may reach over the border of two aligned mebibytes; of each of these either all or nothing is allowed.
 */
export type Allowed = (base: number, offset: number, length: number) => boolean;

/** A first match is at least so long: it costs about six bytes, and what it saves would have been compressed. */
const MIN_MATCH_BYTES = 32;
/** A match that goes on where the one before would have, had a few bytes not changed, costs two bytes. */
const MIN_CONTINUED_BYTES = 16;
/** Matches of a block begin in no more pages than this: it might be made of crumbs from everywhere, and each costs a read. */
const MAX_PAGES = 1024;
/** Pages that are read at the same time. */
const MAX_READ_AHEAD = 32;
/** Nothing else waits longer than this. */
const MAX_TURN_MS = 2;
/** What is allowed or not as a whole. */
const BLOCK_BYTES = 2 ** 20;
/** Candidates are windows of so many bytes. */
const WINDOW_BYTES = 32;
/** So many bytes may have changed for it. */
const MAX_CHANGED_BYTES = 64;

/**
 * What of a block's ranges is in the bases: ascending, disjoint, within the ranges, each compared byte by byte. The same
 * index, block and bases give the same matches.
 * @param hints further places to look at, ascending: where the matches beside a range would go on
 */
export async function findMatches(
  index: DeltaIndex,
  block: Uint8Array,
  literalRanges: readonly (readonly [start: number, end: number])[],
  bases: ReadonlyMap<number, DeltaBase>,
  cache: PageCache,
  allowed: Allowed = () => true,
  hints: readonly Candidate[] = [],
): Promise<Match[]> {
  const candidates = index.candidates(block, literalRanges);
  const all = hints.length === 0 ? candidates : [...candidates, ...hints].sort((a, b) => a.at - b.at);
  const known = all.filter(({ base, offset }) => offset < (bases.get(base)?.sizeBytes ?? 0));
  await readAhead(known, bases, cache);
  const search = new Search(block, bases, cache, allowed);
  let next = 0;
  const pages = new Set<number>();
  let resumed = performance.now();
  for (const [start, end] of literalRanges) {
    search.begin(start, end);
    for (; next < known.length && known[next].at < end; next++) {
      if (!search.concerns(known[next])) continue;
      const page = pageKey(known[next]);
      if (pages.size === MAX_PAGES && !pages.has(page)) continue;
      pages.add(page);
      await search.look(known[next]);
      if (performance.now() - resumed < MAX_TURN_MS) continue;
      await nextTurn();
      resumed = performance.now();
    }
  }
  return search.matches;
}

function pageKey({ base, offset }: Candidate): number {
  return base * 2 ** 40 + Math.floor(offset / PAGE_BYTES);
}

/** Reads the pages that are wanted first at once: one after the other, each would cost a disk's latency. */
async function readAhead(
  candidates: readonly Candidate[],
  bases: ReadonlyMap<number, DeltaBase>,
  cache: PageCache,
): Promise<void> {
  const reads = new Set<Promise<Uint8Array>>();
  const most = Math.min(MAX_READ_AHEAD, cache.capacity >> 1);
  let [lastBase, lastPage] = [-1, -1];
  for (const { base: number, offset } of candidates) {
    const page = Math.floor(offset / PAGE_BYTES);
    if (number === lastBase && page === lastPage) continue;
    [lastBase, lastPage] = [number, page];
    const base = bases.get(number);
    if (base && !cache.peek(base, page)) reads.add(cache.read(base, page));
    if (reads.size === most) break;
  }
  await Promise.all(reads);
}

class Search {
  readonly matches: Match[] = [];
  private from = 0;
  private end = 0;
  private run = 0;
  private lastBase: DeltaBase | undefined;
  private lastPage = 0;
  private lastBytes: Uint8Array | undefined;
  private stoppedIn: DeltaBase | undefined;
  private stoppedPage = 0;
  private stoppedAt = 0;

  constructor(
    private readonly block: Uint8Array,
    private readonly bases: ReadonlyMap<number, DeltaBase>,
    private readonly cache: PageCache,
    private readonly allowed: Allowed,
  ) {}

  begin(start: number, end: number): void {
    this.from = start;
    this.end = end;
  }

  /** Is it about bytes for which no match was found yet? */
  concerns(candidate: Candidate): boolean {
    return candidate.at + WINDOW_BYTES > this.from;
  }

  /** Ends what is to be found where the candidate says, and where that goes on. */
  async look(candidate: Candidate): Promise<void> {
    const base = this.bases.get(candidate.base);
    if (!base) return;
    const shift = candidate.offset - candidate.at;
    const at = Math.max(candidate.at, this.from);
    if (at >= this.end || at + shift >= base.sizeBytes) return;
    if (!this.allowed(base.number, at + shift, 1)) return;
    let high = at;
    while ((high = this.forward(base, high, shift)) < 0) high = await this.missing();
    if (high === at) return;
    let low = at;
    while ((low = this.backward(base, low, shift)) < 0) low = await this.missing();
    if (!this.allowed(base.number, low + shift, high - low)) {
      const block = Math.floor((at + shift) / BLOCK_BYTES) * BLOCK_BYTES;
      low = Math.max(low, block - shift);
      high = Math.min(high, block + BLOCK_BYTES - shift);
    }
    let least = MIN_MATCH_BYTES;
    while (this.take(low, high - low, base, shift, least)) {
      low = high;
      const until = Math.min(this.end, high + MAX_CHANGED_BYTES + MIN_CONTINUED_BYTES);
      this.run = 0;
      while ((low = this.nextRun(base, low, until, shift)) < 0) low = await this.missing();
      high = low + this.run;
      while ((high = this.forward(base, high, shift)) < 0) high = await this.missing();
      least = MIN_CONTINUED_BYTES;
    }
  }

  /** Reads the page that a search came to. Returns where it came to it. */
  private async missing(): Promise<number> {
    await this.cache.read(this.stoppedIn!, this.stoppedPage);
    return this.stoppedAt;
  }

  private take(at: number, length: number, base: DeltaBase, shift: number, least: number): boolean {
    if (length < least || !this.allowed(base.number, at + shift, length)) return false;
    this.matches.push({ at, length, base: base.number, offset: at + shift });
    this.from = at + length;
    return true;
  }

  /** The page with a byte of the base; undefined when it must be read first. */
  private page(base: DeltaBase, page: number, at: number): Uint8Array | undefined {
    if (base === this.lastBase && page === this.lastPage) return this.lastBytes;
    const bytes = this.cache.peek(base, page);
    if (bytes) {
      this.lastBase = base;
      this.lastPage = page;
      this.lastBytes = bytes;
    } else {
      this.stoppedIn = base;
      this.stoppedPage = page;
      this.stoppedAt = at;
    }
    return bytes;
  }

  /** Where the bytes before `low` begin that are those of the base; -1 when a page is missing. */
  private backward(base: DeltaBase, low: number, shift: number): number {
    const least = Math.max(this.from, -shift);
    while (low > least) {
      const page = Math.floor((low - 1 + shift) / PAGE_BYTES);
      const bytes = this.page(base, page, low);
      if (!bytes) return -1;
      const stop = Math.max(least, page * PAGE_BYTES - shift);
      const into = shift - page * PAGE_BYTES;
      while (low > stop && this.block[low - 1] === bytes[low - 1 + into]) low--;
      if (low > stop) break;
    }
    return low;
  }

  /** Where the bytes from `high` on end that are those of the base; -1 when a page is missing. */
  private forward(base: DeltaBase, high: number, shift: number): number {
    const most = Math.min(this.end, base.sizeBytes - shift);
    while (high < most) {
      const page = Math.floor((high + shift) / PAGE_BYTES);
      const bytes = this.page(base, page, high);
      if (!bytes) return -1;
      const stop = Math.min(most, (page + 1) * PAGE_BYTES - shift);
      const into = shift - page * PAGE_BYTES;
      while (high < stop && this.block[high] === bytes[high + into]) high++;
      if (high < stop) break;
    }
    return high;
  }

  /** Where the next run of equal bytes begins, and in `run` how long it is as far as was looked: 0 if there is none that counts. */
  private nextRun(base: DeltaBase, from: number, until: number, shift: number): number {
    const most = Math.min(until, base.sizeBytes - shift);
    let high = from + this.run;
    while (high < most) {
      const page = Math.floor((high + shift) / PAGE_BYTES);
      const bytes = this.page(base, page, high - this.run);
      if (!bytes) return -1;
      const stop = Math.min(most, (page + 1) * PAGE_BYTES - shift);
      const into = shift - page * PAGE_BYTES;
      for (; high < stop; high++) {
        this.run = this.block[high] === bytes[high + into] ? this.run + 1 : 0;
        if (this.run >= MIN_CONTINUED_BYTES) return high + 1 - this.run;
      }
    }
    this.run = 0;
    return most;
  }
}
