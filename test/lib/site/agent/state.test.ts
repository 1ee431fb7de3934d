import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DirectoryLock } from "../../../../lib/site/agent/directory-lock";
import { EventLog } from "../../../../lib/site/agent/event-log";
import { Reviver } from "../../../../lib/site/agent/reviver";
import { type PoolRecord, quiesceAt } from "../../../../lib/site/agent/state";
import { StateFile } from "../../../../lib/site/agent/state-file";
import { sleep } from "../../../../lib/wait";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "spillway-state-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

describe("the state file", () => {
  test("holds what the state was when it was saved, however many save at once", async () => {
    const path = join(dir, "state.json");
    const file = await StateFile.open(path, "cloud");
    const saved: Promise<void>[] = [];
    for (let n = 0; n < 200; n++) {
      file.state.records[`r${n}`] = { name: `r${n}`, spec: { owner: "t", ttlSeconds: n, answers: [] } };
      const mine = n;
      saved.push(
        file.save().then(() => {
          expect(readFileSync(path, "utf8")).toContain(`"r${mine}"`);
        }),
      );
      if (n % 20 === 0) await sleep(1);
    }
    await Promise.all(saved);
    const again = await StateFile.open(path, "cloud");
    expect(Object.keys(again.state.records)).toHaveLength(200);
    expect(statSync(path).mode & 0o077).toBe(0);
  });

  test("says so when it cannot be written, and goes on when it can again", async () => {
    const folder = join(dir, "state");
    const file = await StateFile.open(join(folder, "state.json"), "cloud");
    rmSync(folder, { recursive: true });
    writeFileSync(folder, "in the way");
    await expect(file.save()).rejects.toThrow(/ENOTDIR|ENOENT/);
    rmSync(folder);
    await StateFile.open(join(folder, "other.json"), "cloud");
    await file.save();
  });

  test("of another version is refused", async () => {
    writeFileSync(join(dir, "state.json"), '{"version":9,"site":"cloud","pools":{},"records":{}}');
    await expect(StateFile.open(join(dir, "state.json"), "cloud")).rejects.toThrow(/got version 9/);
  });
});

describe("the event log", () => {
  test("goes on where it was, past a line that a kill cut off", () => {
    const path = join(dir, "events.ndjson");
    const lines: string[] = [];
    const first = new EventLog(path, (line) => lines.push(line));
    first.add("pool-created", "shop", "2 members");
    first.add("pool-gone", "shop", "");
    first.close();
    appendFileSync(path, '{"seq":3,"at":1,"ki');
    const second = new EventLog(path, () => undefined);
    second.add("agent-started", "cloud", "");
    expect(second.after(0).events.map(({ seq, kind }) => `${seq} ${kind}`)).toEqual([
      "1 pool-created",
      "2 pool-gone",
      "3 agent-started",
    ]);
    expect(second.after(2)).toMatchObject({ events: [{ seq: 3 }], last: 3 });
    expect(second.after(3)).toEqual({ events: [], last: 3 });
    second.close();
    const third = new EventLog(path, () => undefined);
    expect(third.after(2).events).toHaveLength(1);
    third.close();
    expect(lines).toEqual(["pool-created shop: 2 members", "pool-gone shop"]);
  });

  test("keeps the last 10,000, in memory and on disk", () => {
    const path = join(dir, "events.ndjson");
    const log = new EventLog(path, () => undefined);
    for (let n = 0; n < 20_050; n++) log.add("member-up", "m", "");
    const kept = log.after(0);
    expect(kept.events.length).toBeLessThanOrEqual(10_050);
    expect(kept.events.length).toBeGreaterThanOrEqual(10_000);
    expect(kept.last).toBe(20_050);
    log.close();
    expect(readFileSync(path, "utf8").split("\n").length).toBeLessThan(10_100);
    const again = new EventLog(path, () => undefined);
    expect(again.after(0)).toMatchObject({ last: 20_050 });
    expect(again.after(0).events).toHaveLength(10_000);
    again.close();
  });
});

describe("the lock of a state directory", () => {
  test("is held by one, and free again when released", async () => {
    const first = await DirectoryLock.take(dir);
    await expect(DirectoryLock.take(dir)).rejects.toThrow(
      new RegExp(`another agent works in this state directory: process ${process.pid}, since`),
    );
    await first.release();
    const second = await DirectoryLock.take(dir);
    await first.release(); // A late release takes nothing from the next holder.
    await expect(DirectoryLock.take(dir)).rejects.toThrow(/another agent/);
    await second.release();
  });

  test("is taken from the dead, by exactly one of many at once", async () => {
    const stale = JSON.stringify({ pid: process.pid, startTime: "long ago", since: "2026-01-01" });
    for (let round = 0; round < 20; round++) {
      const used = readdirSync(dir).map((name) => Number(/^agent\.lock\.(\d+)$/.exec(name)?.[1] ?? 0));
      writeFileSync(join(dir, `agent.lock.${Math.max(0, ...used) + 1}`), stale);
      const takers = await Promise.allSettled(Array.from({ length: 8 }, () => DirectoryLock.take(dir)));
      const holders = takers.flatMap((taker) => (taker.status === "fulfilled" ? [taker.value] : []));
      expect(holders).toHaveLength(1);
      await holders[0].release();
    }
    expect(readdirSync(dir)).toHaveLength(1);
  });
});

describe("a helper that does not answer", () => {
  test("is started once for all who miss it, and not again at once", async () => {
    let starts = 0;
    const reviver = new Reviver(
      "the helper",
      async () => {
        starts++;
        await sleep(20);
      },
      () => undefined,
    );
    await Promise.all([reviver.revive("a"), reviver.revive("b"), reviver.revive("c")]);
    expect(starts).toBe(1);
    await expect(reviver.revive(new Error("still away"))).rejects.toThrow("still away");
    expect(starts).toBe(1);
    await sleep(550);
    await reviver.revive("d");
    expect(starts).toBe(2);
  });
});

test("an order that is yet to begin is told with what is left until then, and then with what is left of it", () => {
  const quiesce = { share: 1, forMs: 5_000, idleCloseMs: 0, afterMs: 2_000, once: true };
  const record = { quiesce, quiesceFrom: 12_000, quiesceUntil: 17_000 } as PoolRecord;
  const rest = { share: 1, idleCloseMs: 0, once: true };
  expect(quiesceAt(record, 10_500)).toEqual({ ...rest, afterMs: 1_500, forMs: 5_000 });
  expect(quiesceAt(record, 14_000)).toEqual({ ...rest, afterMs: 0, forMs: 3_000 });
  expect(quiesceAt(record, 17_000)).toMatchObject({ share: 0 });
  expect(quiesceAt({ ...record, quiesceUntil: undefined }, 11_000)).toMatchObject({ afterMs: 1_000 });
});
