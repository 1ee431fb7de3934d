import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { acquireLease, leaseHolder, type Lease } from "../../../lib/hook";
import { HookChild } from "./support/child";
import { makeProject } from "./support/stack";
import { terraform } from "./support/world";

let folder: string;
let file: string;
const signal = new AbortController().signal;
const leases: Lease[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "spillway-lease-"));
  file = join(folder, "deep", "lease.json");
});

afterEach(() => {
  for (const lease of leases.splice(0)) lease.release();
  rmSync(folder, { recursive: true, force: true });
});

async function take(
  more: { wait?: boolean; expiryMs?: number; onWaiting?: (message: string) => void } = {},
): Promise<Lease> {
  const lease = await acquireLease({ file, wait: false, signal, ...more });
  leases.push(lease);
  return lease;
}

test("a lease is held by one, who is named to the next", async () => {
  const lease = await take();
  await expect(take()).rejects.toThrow(new RegExp(`another hook is active.*process ${process.pid} on `));
  expect(await leaseHolder(file)).toMatchObject({ pid: process.pid });
  lease.release();
  expect(await leaseHolder(file)).toBeUndefined();
  expect(readdirSync(join(folder, "deep"))).toEqual([]);
  await take();
});

test("one who waits gets it as soon as it is released, and says meanwhile who holds it", async () => {
  const first = await take();
  const said: string[] = [];
  const second = take({ wait: true, onWaiting: (message) => said.push(message) });
  setTimeout(() => first.release(), 300);
  await second;
  expect(said).toEqual([expect.stringMatching(`waiting for the lease, held by process ${process.pid}`)]);
});

test("waiting can be given up", async () => {
  await take();
  const controller = new AbortController();
  const waiting = acquireLease({ file, wait: true, signal: controller.signal });
  setTimeout(() => controller.abort(), 50);
  await expect(waiting).rejects.toThrow("stopped");
});

test("a dead holder's lease is taken at once, a living one's only when it gives no sign of life", async () => {
  const lease = await take();
  const holder = JSON.parse(readFileSync(file, "utf8")) as { pid: number };
  lease.release();
  writeFileSync(file, JSON.stringify({ ...holder, startTime: "another start of that process id" }));
  (await take()).release();

  writeFileSync(file, JSON.stringify({ ...holder, host: "another-machine" }));
  await expect(take()).rejects.toThrow("another-machine");
  const old = new Date(Date.now() - 60_000);
  utimesSync(file, old, old);
  await take();
});

test("a lease file that was cut off is taken over when it has grown old", async () => {
  const lease = await take();
  lease.release();
  writeFileSync(file, '{"pid": 1');
  await expect(take()).rejects.toThrow("did not say who it is");
  const old = new Date(Date.now() - 60_000);
  utimesSync(file, old, old);
  await take();
});

test("one who was robbed learns it, and does not release the thief's lease", async () => {
  const lease = await take({ expiryMs: 200 });
  rmSync(file);
  const thief = await take({ expiryMs: 60_000 });
  await new Promise<void>((resolve) => lease.lost.addEventListener("abort", () => resolve()));
  lease.release();
  expect(existsSync(file)).toBe(true);
  expect(thief.lost.aborted).toBe(false);
});

test("a lease that can no longer be read or touched is lost, and the process lives on", async () => {
  const lease = await take({ expiryMs: 200 });
  const robbed = new Promise<void>((resolve) => lease.lost.addEventListener("abort", () => resolve()));
  // A folder in its place: every look at it fails (EISDIR), as one at a broken disk does.
  rmSync(file);
  mkdirSync(file);
  await robbed;
  expect((lease.lost.reason as Error).message).toMatch(/lease\.json can no longer be kept: .*EISDIR/);
  expect(() => lease.release()).not.toThrow();
});

test("out of many who want a stale lease at once, one at a time gets it", async () => {
  const lease = await take();
  lease.release();
  for (let round = 0; round < 10; round++) {
    writeFileSync(file, '{"pid": 1, "startTime": "gone", "host": "x", "since": 0}');
    const old = new Date(Date.now() - 60_000);
    utimesSync(file, old, old);
    const results = await Promise.allSettled(
      Array.from({ length: 8 }, () => acquireLease({ file, wait: false, signal })),
    );
    const won = results.filter((result) => result.status === "fulfilled");
    expect(won).toHaveLength(1);
    won.forEach((result) => result.value.release());
  }
});

test("of two hooks in two processes one is active; when it is killed the other goes on", async () => {
  const project = makeProject();
  const demandFile = join(project.directories.project, "demand");
  writeFileSync(demandFile, "50");
  terraform(project.directories.stack, "apply", "-auto-approve", `-var-file=${project.parametersFile}`);
  const options = { project: project.directories.project, demandFile };
  const first = new HookChild(options);
  const refused = { ...options, waitForLease: false };
  let second: HookChild | undefined;
  try {
    await first.until(({ name }) => name === "verified");
    second = new HookChild(options);
    const waiting = await second.until(({ name }) => name === "waiting");
    expect(waiting.event.message).toContain(`held by process ${first.pid} on `);
    const third = new HookChild(refused);
    expect(await third.exit).toMatchObject({ code: 1 });
    expect(third.stderr).toContain(`another hook is active for this burst: process ${first.pid}`);
    first.kill("SIGKILL");
    await second.until(({ name }) => name === "verified");
    expect(first.lines.some(({ name }) => name === "verified")).toBe(true);
  } finally {
    first.kill("SIGKILL");
    second?.kill("SIGTERM");
    await first.exit;
    await second?.exit;
    project.remove();
  }
});
