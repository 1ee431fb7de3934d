import { setMaxListeners } from "node:events";
import * as fc from "fast-check";
import { AbortedError } from "../../../../lib/errors";
import { Pace, type PaceClock } from "../../../../lib/image/bandwidth";

/** Time that passes only when it is told to. */
class FakeClock implements PaceClock {
  private at = 0;
  private timers: { readonly at: number; readonly run: () => void }[] = [];

  now = () => this.at;

  after = (ms: number, run: () => void) => {
    const timer = { at: this.at + ms, run };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((each) => each !== timer);
    };
  };

  /** Lets so much time pass, and everybody go on who was waiting for it. */
  async pass(ms: number): Promise<void> {
    const until = this.at + ms;
    for (;;) {
      await settle();
      const next = this.timers.sort((one, other) => one.at - other.at)[0];
      if (!next || next.at > until) break;
      this.timers.shift();
      this.at = next.at;
      next.run();
    }
    this.at = until;
    await settle();
  }
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}

const NEVER = new AbortController().signal;

/** Streams that take as much as they get; what each got, and when. */
function greedy(pace: Pace, clock: PaceClock, count: number, signal: AbortSignal, sliceBytes?: number) {
  setMaxListeners(0, signal);
  const got = Array.from({ length: count }, () => 0);
  const log: { readonly at: number; readonly bytes: number }[] = [];
  const done = got.map(async (_, stream) => {
    for (;;) {
      const bytes = sliceBytes ?? pace.sliceBytes;
      await pace.take(bytes, signal);
      got[stream] = (got[stream] ?? 0) + bytes;
      log.push({ at: clock.now(), bytes });
    }
  });
  const ended = Promise.allSettled(done);
  return { got, log, total: () => got.reduce((sum, bytes) => sum + bytes, 0), ended };
}

test("without a limit nobody waits", async () => {
  const pace = new Pace(undefined, new FakeClock());
  for (let turn = 0; turn < 100; turn++) await pace.take(64 * 1024, NEVER);
});

test("what is taken stays under the rate, at every moment by no more than 100 ms worth, and is no less", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 200_000, max: 200_000_000 }),
      fc.integer({ min: 1, max: 12 }),
      async (bps, count) => {
        const clock = new FakeClock();
        const pace = new Pace(bps, clock);
        const stop = new AbortController();
        const run = greedy(pace, clock, count, stop.signal);
        await clock.pass(500);
        const bytesPerMs = bps / 8_000;
        const worth = bytesPerMs * 100 + 1;
        for (let from = 0; from < run.log.length; from += 17) {
          let bytes = 0;
          for (const { at, bytes: each } of run.log.slice(from)) {
            bytes += each;
            expect(bytes).toBeLessThanOrEqual((at - run.log[from]!.at) * bytesPerMs + worth);
          }
        }
        expect(run.total()).toBeGreaterThan(bytesPerMs * 500 * 0.85 - count * pace.sliceBytes);
        stop.abort();
        await run.ended;
      },
    ),
    { numRuns: 12 },
  );
});

test("streams get equal shares, also beside one that asks for much at once", async () => {
  const clock = new FakeClock();
  const pace = new Pace(8e6, clock);
  const stop = new AbortController();
  const large = pace.take(600_000, stop.signal);
  const run = greedy(pace, clock, 3, stop.signal);
  await clock.pass(1_000);
  const [least, most] = [Math.min(...run.got), Math.max(...run.got)];
  expect(least).toBeGreaterThan(200_000);
  expect(most - least).toBeLessThanOrEqual(pace.sliceBytes);
  stop.abort();
  await expect(large).rejects.toThrow(AbortedError);
  await run.ended;
});

test("another rate holds at once, also for those who wait: slower, faster, paused, on, and without limit", async () => {
  const clock = new FakeClock();
  const pace = new Pace(8e6, clock);
  const stop = new AbortController();
  const run = greedy(pace, clock, 4, stop.signal, 16 * 1024);
  let before = 0;
  const rateOver = async (ms: number) => {
    await clock.pass(ms);
    const bytes = run.total() - before;
    before = run.total();
    return (bytes * 8_000) / ms;
  };
  expect(await rateOver(2_000)).toBeCloseTo(8e6, -5.5);
  pace.setRate(80e6);
  expect(Math.abs((await rateOver(2_000)) - 80e6)).toBeLessThan(4e6);
  pace.setRate(1e6);
  expect(Math.abs((await rateOver(4_000)) - 1e6)).toBeLessThan(0.3e6);
  pace.setRate(0);
  await rateOver(100);
  expect(await rateOver(3_600_000)).toBe(0);
  pace.setRate(8e6);
  expect(Math.abs((await rateOver(2_000)) - 8e6)).toBeLessThan(1e6);
  stop.abort();
  await run.ended;
});

test("after a long idle time no more than 100 ms worth goes at once", async () => {
  const clock = new FakeClock();
  const pace = new Pace(8e6, clock);
  await clock.pass(60_000);
  const stop = new AbortController();
  const run = greedy(pace, clock, 8, stop.signal);
  await clock.pass(0);
  expect(run.total()).toBeLessThanOrEqual(100_000);
  stop.abort();
  await run.ended;
});

test("no limit after all lets everybody go who waits", async () => {
  const clock = new FakeClock();
  const pace = new Pace(0, clock);
  const waiting = [pace.take(1e9), pace.take(5), pace.take(64 * 1024)];
  await clock.pass(5_000);
  pace.setRate(undefined);
  await Promise.all(waiting);
});

test("one who gives up while waiting is out of the others' way", async () => {
  const clock = new FakeClock();
  const pace = new Pace(0, clock);
  const stop = new AbortController();
  const first = pace.take(1_000_000, stop.signal);
  const second = pace.take(1_000);
  stop.abort();
  await expect(first).rejects.toThrow(AbortedError);
  await expect(pace.take(1, stop.signal)).rejects.toThrow(AbortedError);
  pace.setRate(8e6);
  await clock.pass(10);
  await second;
});

test("in real time it is as fast as it may be, within 100 ms worth, and a pause is a pause", async () => {
  const pace = new Pace(40e6);
  const stop = new AbortController();
  const clock = { now: () => performance.now(), after: () => () => undefined };
  const run = greedy(pace, clock, 8, stop.signal, 4_096);
  const over = async (ms: number) => {
    const [began, before] = [performance.now(), run.total()];
    await new Promise((resolve) => setTimeout(resolve, ms));
    return ((run.total() - before) * 8_000) / (performance.now() - began);
  };
  await over(100);
  const full = await over(1_000);
  expect(full).toBeGreaterThan(36e6);
  expect(full).toBeLessThan(45e6);
  pace.setRate(0);
  expect(await over(200)).toBe(0);
  pace.setRate(8e6);
  await over(100);
  const slow = await over(700);
  expect(slow).toBeGreaterThan(7e6);
  expect(slow).toBeLessThan(9.4e6);
  stop.abort();
  await run.ended;
});
