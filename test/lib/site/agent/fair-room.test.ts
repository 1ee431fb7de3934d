import * as fc from "fast-check";
import { type Claim, FairRoom, type Grant } from "../../../../lib/site/agent/fair-room";
import { sleep } from "../../../../lib/wait";

interface Visit {
  readonly grant: Grant;
  readonly leave: () => void;
}

/** Who came into a room of 48, in order. */
class Visitors {
  readonly inside: string[] = [];
  readonly sentAway: string[] = [];
  readonly visits = new Map<string, Visit>();
  readonly stays: Promise<unknown>[] = [];

  constructor(readonly room: FairRoom) {}

  /** @param name its party, and what tells it from the party's others */
  come(name: string, bytes: number, claim: Partial<Claim> = {}): void {
    const onTooSlow = () => {
      this.sentAway.push(name);
      this.leave(name);
    };
    const stay = this.room.hold({ party: name[0], bytes, onTooSlow, ...claim }, async (grant) => {
      this.inside.push(name);
      await new Promise<void>((leave) => this.visits.set(name, { grant, leave }));
      this.inside.splice(this.inside.indexOf(name), 1);
    });
    this.stays.push(stay.catch(() => undefined));
  }

  leave(name: string): void {
    this.visits.get(name)?.leave();
  }

  /** Until everybody who has left is gone, and everybody who may has come in. */
  settle = () => sleep(5);
}

describe("the room for bodies", () => {
  it("gives one party two thirds at most, so that the next one finds room at once", async () => {
    const here = new Visitors(new FairRoom(48));
    for (let i = 0; i < 40; i++) here.come(`a${i}`, 2);
    await here.settle();
    expect(here.inside).toHaveLength(16);
    here.come("b", 12);
    await here.settle();
    expect(here.inside.at(-1)).toBe("b");
  });

  it("gives a party alone one that is larger than its share, and never more than there is", async () => {
    const here = new Visitors(new FairRoom(48));
    here.come("a", 40);
    here.come("b", 1_000);
    await here.settle();
    expect(here.inside).toEqual(["a"]);
    here.leave("a");
    await here.settle();
    expect(here.inside).toEqual(["b"]);
  });

  it("lets nobody overtake within a party, and no party's many overtake who has nothing yet", async () => {
    const here = new Visitors(new FairRoom(48));
    for (const name of ["a0", "a1", "a2"]) here.come(name, 8);
    here.come("b0", 12);
    here.come("c0", 30);
    here.come("a3", 1);
    here.come("d0", 1);
    await here.settle();
    expect(here.inside).toEqual(["a0", "a1", "a2", "b0"]);
    for (const name of ["a0", "a1", "b0"]) here.leave(name);
    await here.settle();
    expect(here.inside).toEqual(["a2", "c0", "a3", "d0"]);
  });

  it("sends away who hardly brings anything once others wait, the slowest first and no more than it takes", async () => {
    const here = new Visitors(new FairRoom(48, { slowMs: 400 }));
    for (const name of "abcdefghijkl") here.come(name, 4);
    await here.settle();
    expect(here.inside).toHaveLength(12);
    await sleep(600);
    expect(here.sentAway).toEqual([]);
    const arriving = setInterval(() => {
      for (const name of "cdefghijkl") here.visits.get(name)?.grant.arrived(64 * 1024);
    }, 50);
    here.come("m", 4);
    await sleep(500);
    clearInterval(arriving);
    expect(here.sentAway).toEqual(["a"]);
    expect(here.inside).toContain("m");
  });

  it("sends nobody away who brings 64 KiB in time, or has brought everything", async () => {
    const here = new Visitors(new FairRoom(48, { slowMs: 300 }));
    here.come("a", 24);
    here.come("b", 24);
    await here.settle();
    here.visits.get("a")?.grant.whole();
    const arriving = setInterval(() => here.visits.get("b")?.grant.arrived(16 * 1024), 50);
    here.come("c", 1);
    await sleep(900);
    expect({ inside: here.inside, sentAway: here.sentAway }).toEqual({ inside: ["a", "b"], sentAway: [] });
    clearInterval(arriving);
    await sleep(500);
    expect({ inside: here.inside, sentAway: here.sentAway }).toEqual({ inside: ["a", "c"], sentAway: ["b"] });
  });

  it("sends nobody away for one who has more than its share already", async () => {
    const here = new Visitors(new FairRoom(48, { slowMs: 100 }));
    for (let i = 0; i < 9; i++) here.come(`a${i}`, 4);
    here.come("b0", 12);
    await sleep(300);
    expect(here.inside).toEqual(["a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "b0"]);
    expect(here.sentAway).toEqual([]);
  });

  it("is no longer waited for by who went away, and those behind come in", async () => {
    const here = new Visitors(new FairRoom(48));
    const gone = new AbortController();
    here.come("a", 40);
    here.come("b", 20, { signal: gone.signal });
    here.come("c", 4);
    await here.settle();
    expect(here.inside).toEqual(["a"]);
    gone.abort();
    await here.settle();
    expect(here.inside).toEqual(["a", "c"]);
  });

  it("is never overfull, and everybody comes in in the end", async () => {
    const coming = fc.array(fc.tuple(fc.constantFrom("a", "b", "c", "d"), fc.integer({ min: 1, max: 60 })), {
      minLength: 1,
      maxLength: 60,
    });
    await fc.assert(
      fc.asyncProperty(coming, async (wanted) => {
        const room = new FairRoom(48);
        let [inside, most] = [0, 0];
        await Promise.all(
          wanted.map(([party, bytes], i) =>
            room.hold({ party, bytes, onTooSlow: () => undefined }, async () => {
              const taken = Math.min(bytes, 48);
              most = Math.max(most, (inside += taken));
              for (let turn = 0; turn < i % 5; turn++) await Promise.resolve();
              inside -= taken;
            }),
          ),
        );
        expect(inside).toBe(0);
        expect(most).toBeLessThanOrEqual(48);
      }),
      { numRuns: 300 },
    );
  });
});
