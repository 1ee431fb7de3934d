import { AbortedError } from "../../errors";

/** Of what is free afterwards, somebody who has some already may hold so many times as much. */
const GREED = 2;
/** A body that brings so much within {@link FairRoomOptions.slowMs} is on its way, however slow its link is. */
const STEP_BYTES = 64 * 1024;
/** Looks for bodies that trickle within that time, while somebody waits. */
const LOOKS = 4;

export interface FairRoomOptions {
  /**
   * A body may take so long for each 64 KiB of it when others wait for its room: 20 s are 26 kbit/s for each of a sender's streams.
   * @default 20000
   */
  readonly slowMs?: number;
}

/** Who wants room. */
export interface Claim {
  /** Room is shared between parties, not between claims: each transfer is one. */
  readonly party: string;
  readonly bytes: number;
  /** Leaves the line. */
  readonly signal?: AbortSignal;
  /** Told when the room is needed by others, and what it was given for hardly comes. */
  readonly onTooSlow: (arrivedBytes: number) => void;
}

/** Room that was given. */
export interface Grant {
  /** So many bytes more have come. */
  arrived(bytes: number): void;
  /** All has come: how long the room is still needed is no longer the sender's doing. */
  whole(): void;
}

interface Waiting {
  readonly claim: Claim;
  readonly go: () => void;
}

/**
 * So many bytes and no more, shared fairly. Who has none gets some first of all; who has some may have no more than twice what stays
 * free (a "dynamic threshold", Choudhury and Hahne 1998): one party alone gets two thirds, and there is always room for the next one.
 * So many parties may still fill it; then, while somebody waits who has no more than a fair share, those whose bytes hardly come are
 * told to go. Within one party, whoever came first is first.
 */
export class FairRoom {
  private free: number;
  private readonly slowMs: number;
  private readonly held = new Map<string, number>();
  private readonly coming = new Set<Coming>();
  private readonly waiting: Waiting[] = [];
  private looks: NodeJS.Timeout | undefined;

  constructor(
    private readonly wholeBytes: number,
    { slowMs = 20_000 }: FairRoomOptions = {},
  ) {
    this.free = wholeBytes;
    this.slowMs = slowMs;
  }

  /** Does something in room that is held for it. @throws AbortedError when it is no longer waited for */
  async hold<T>(claim: Claim, work: (grant: Grant) => Promise<T>): Promise<T> {
    const { party } = claim;
    const bytes = Math.min(claim.bytes, this.wholeBytes);
    await this.enter({ ...claim, bytes });
    const grant = new Coming({ ...claim, bytes }, (one) => this.coming.delete(one));
    this.coming.add(grant);
    try {
      return await work(grant);
    } finally {
      this.coming.delete(grant);
      this.give(party, -bytes);
      this.letIn();
    }
  }

  private enter(claim: Claim): Promise<void> {
    const { signal } = claim;
    return new Promise((resolve, reject) => {
      const leave = () => {
        const at = this.waiting.indexOf(one);
        if (at < 0) return;
        this.waiting.splice(at, 1);
        reject(new AbortedError("stopped while waiting for room"));
        this.letIn();
      };
      const go = () => {
        signal?.removeEventListener("abort", leave);
        resolve();
      };
      const one: Waiting = { claim, go };
      this.waiting.push(one);
      if (signal?.aborted) return leave();
      signal?.addEventListener("abort", leave, { once: true });
      this.letIn();
    });
  }

  private letIn(): void {
    const passed = new Set<string>();
    for (let at = 0; at < this.waiting.length;) {
      const { claim, go } = this.waiting[at];
      const { party, bytes } = claim;
      if (!passed.has(party) && this.fits(claim)) {
        this.waiting.splice(at, 1);
        this.give(party, bytes);
        go();
        continue;
      }
      // What becomes free is kept for who has nothing yet.
      if (!passed.has(party) && !this.held.has(party)) break;
      passed.add(party);
      at++;
    }
    this.watch();
  }

  private fits(claim: Claim): boolean {
    return this.neededFor(claim) <= this.free;
  }

  /** What must be free to let it in. */
  private neededFor({ party, bytes }: Claim): number {
    const held = this.held.get(party) ?? 0;
    return held === 0 ? bytes : bytes + (held + bytes) / GREED;
  }

  private give(party: string, bytes: number): void {
    this.free -= bytes;
    const held = (this.held.get(party) ?? 0) + bytes;
    if (held > 0) this.held.set(party, held);
    else this.held.delete(party);
  }

  private watch(): void {
    if (this.waiting.length > 0) {
      this.looks ??= setInterval(() => this.endTrickles(), this.slowMs / LOOKS).unref();
      return;
    }
    clearInterval(this.looks);
    this.looks = undefined;
  }

  /** Sends away as many of the slowest as it takes to let in all who ask for no more than a fair share. */
  private endTrickles(): void {
    const needed = this.fairlyWanted();
    let { free } = this;
    const slowest = [...this.coming].sort((one, other) => one.steppedAt - other.steppedAt);
    for (const one of slowest) {
      if (free >= needed || performance.now() - one.steppedAt < this.slowMs) return;
      free += one.claim.bytes;
      this.coming.delete(one);
      one.claim.onTooSlow(one.arrivedBytes);
    }
  }

  private fairlyWanted(): number {
    const parties = new Set([...this.held.keys(), ...this.waiting.map(({ claim }) => claim.party)]);
    const share = this.wholeBytes / parties.size;
    const taken = new Map(this.held);
    let bytes = 0;
    for (const { claim } of this.waiting) {
      const held = taken.get(claim.party) ?? 0;
      if (held > 0 && held + claim.bytes > share) continue;
      bytes += this.neededFor(claim);
      taken.set(claim.party, held + claim.bytes);
    }
    return bytes;
  }
}

/** A body on its way. */
class Coming implements Grant {
  arrivedBytes = 0;
  /** When its last step was taken. */
  steppedAt = performance.now();
  private nextStep = STEP_BYTES;

  constructor(
    readonly claim: Claim,
    private readonly onWhole: (self: Coming) => void,
  ) {}

  arrived(bytes: number): void {
    this.arrivedBytes += bytes;
    if (this.arrivedBytes < this.nextStep) return;
    this.steppedAt = performance.now();
    this.nextStep = this.arrivedBytes + STEP_BYTES;
  }

  whole(): void {
    this.onWhole(this);
  }
}
