import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  bandwidthFile,
  keepPace,
  Pace,
  readBandwidth,
  watchBandwidth,
  writeBandwidth,
  type BandwidthPlan,
} from "../../../../lib/image/bandwidth";
import { sleep } from "../../../../lib/wait";

let dir: string;
let file: string;
let stop: AbortController;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "spillway-bandwidth-"));
  file = join(dir, "spillway", "bandwidth.json");
  stop = new AbortController();
});
afterEach(() => {
  stop.abort();
  rmSync(dir, { recursive: true, force: true });
});

async function until(is: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 5_000; !is();) {
    if (Date.now() > deadline) throw new Error("it never came");
    await sleep(5);
  }
}

test("it is in the user's configuration folder", () => {
  const before = process.env.XDG_CONFIG_HOME;
  try {
    process.env.XDG_CONFIG_HOME = dir;
    expect(bandwidthFile()).toBe(file);
    delete process.env.XDG_CONFIG_HOME;
    expect(bandwidthFile()).toMatch(/\.config\/spillway\/bandwidth\.json$/);
  } finally {
    if (before === undefined) delete process.env.XDG_CONFIG_HOME;
    else process.env.XDG_CONFIG_HOME = before;
  }
});

test("no file is no limit; what is written is read, and nothing is left beside it", () => {
  expect(readBandwidth(file)).toEqual({});
  const plan: BandwidthPlan = {
    capBps: 20e6,
    windows: [{ days: ["sat"], from: "08:00", to: "18:00", capBps: "off" }],
    timeZone: "UTC",
  };
  writeBandwidth(plan, file);
  expect(readBandwidth(file)).toEqual(plan);
  expect(readFileSync(file, "utf8")).toContain('"sat 08:00-18:00 off"');
  expect(readdirSync(join(dir, "spillway"))).toEqual(["bandwidth.json"]);
});

test("a file that cannot be written is told of", () => {
  writeFileSync(join(dir, "spillway"), "in the way");
  expect(() => writeBandwidth({ capBps: 1e6 }, file)).toThrow(/cannot be written/);
});

test("a plan that changes is followed, and a file that goes takes its limit with it", async () => {
  const watched = watchBandwidth(stop.signal, { file, everyMs: 10 });
  expect(watched.current()).toEqual({});
  writeBandwidth({ capBps: 1e6 }, file);
  await until(() => watched.current().capBps === 1e6);
  writeBandwidth({ capBps: "off" }, file);
  await until(() => watched.current().capBps === "off");
  rmSync(file);
  await until(() => watched.current().capBps === undefined);
});

test("a broken file is told of once, and the last good plan stays", async () => {
  writeBandwidth({ capBps: 1e6 }, file);
  const problems: string[] = [];
  const watched = watchBandwidth(stop.signal, {
    file,
    everyMs: 5,
    onProblem: ({ message }) => problems.push(message),
  });
  writeFileSync(file, '{"cap": "20M');
  await until(() => problems.length > 0);
  await sleep(60);
  expect(problems).toEqual([expect.stringContaining("no JSON")]);
  expect(watched.current()).toEqual({ capBps: 1e6 });
  writeFileSync(file, '{"cap": "20M"}');
  await until(() => problems.length > 1);
  expect(problems[1]).toContain("bits or bytes");
  expect(watched.current()).toEqual({ capBps: 1e6 });
  writeFileSync(file, '{"cap": "2Mbit"}');
  await until(() => watched.current().capBps === 2e6);
  expect(problems).toHaveLength(2);
});

test("a pace follows the lowest of its own plan and the file, within two seconds", async () => {
  const watched = watchBandwidth(stop.signal, { file, everyMs: 20 });
  const pace = new Pace();
  const told: (number | undefined)[] = [];
  keepPace(
    pace,
    () => [{ capBps: 8e6 }, watched.current()],
    stop.signal,
    (bps) => told.push(bps),
  );
  expect(pace.bps).toBe(8e6);
  writeBandwidth({ capBps: "off" }, file);
  const began = Date.now();
  await until(() => pace.bps === 0);
  expect(Date.now() - began).toBeLessThan(2_000);
  expect(told).toEqual([8e6, 0]);
});
