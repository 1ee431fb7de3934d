import { execFileSync, spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LocalLauncher } from "../../../../providers/local/launcher";
import { claiming } from "../../../../providers/local/launcher/claim";
import type { LaunchRequest, MemberHandle } from "../../../../lib/site/ports";
import { sleep } from "../../../../lib/wait";
import { makeImage, type MadeImage } from "../../../support/image";
import { processesOf } from "../../../support/processes";

let dir: string;
let image: MadeImage;
let launcher: LocalLauncher;
let stateDir: string;
const never = new AbortController().signal;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "spillway-launcher-"));
  image = await makeImage({ dir: join(dir, "images") });
});

afterAll(() => rmSync(dir, { recursive: true, force: true }));

beforeEach(() => {
  stateDir = mkdtempSync(join(dir, "state-"));
  launcher = new LocalLauncher({ stateDir });
});

const handles: MemberHandle[] = [];
afterEach(async () => {
  await Promise.all(handles.splice(0).map((handle) => launcher.end(handle, 0)));
  for (const pid of processesOf(dir)) process.kill(pid, "SIGKILL");
});

function request(id: string, changes: Partial<LaunchRequest> = {}): LaunchRequest {
  return {
    id,
    pool: "shop",
    site: "cloud",
    digest: image.digest,
    imagePath: image.path,
    address: "127.0.0.1",
    environment: {},
    ...changes,
  };
}

async function launch(id: string, changes: Partial<LaunchRequest> = {}): Promise<MemberHandle> {
  const handle = await launcher.launch(request(id, changes), never);
  handles.push(handle);
  return handle;
}

async function ask(handle: MemberHandle): Promise<Record<string, unknown>> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    try {
      const answer = await fetch(`http://${handle.address}:${handle.port}/`, {
        headers: { connection: "close" },
      });
      return (await answer.json()) as Record<string, unknown>;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await sleep(20);
    }
  }
}

async function until(what: string, look: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await look())) {
    if (Date.now() > deadline) throw new Error(`waited 10 s for ${what}`);
    await sleep(1);
  }
}

test("a member is launched from its image and told where it runs", async () => {
  const handle = await launch("shop-1", { environment: { GREETING: "hello", PORT: "1" } });
  expect(await ask(handle)).toEqual({
    site: "cloud",
    pool: "shop",
    member: "shop-1",
    version: "1",
    path: "/",
    greeting: "hello",
  });
  expect(await launcher.isRunning(handle)).toBe(true);
  await launcher.end(handle, 2_000);
  expect(await launcher.isRunning(handle)).toBe(false);
  await launcher.end(handle, 2_000);
});

test("launching an id that runs returns the member that runs, also to a second launcher", async () => {
  const handle = await launch("shop-1");
  expect(await launch("shop-1")).toEqual(handle);
  const other = new LocalLauncher({ stateDir });
  expect(await other.launch(request("shop-1"), never)).toEqual(handle);
});

test("members launched at once have ports of their own and share one unpacked image", async () => {
  const many = await Promise.all([1, 2, 3, 4, 5, 6].map((n) => launch(`shop-${n}`)));
  expect(new Set(many.map(({ port }) => port)).size).toBe(6);
  await Promise.all(many.map(ask));
  expect(readdirSync(join(stateDir, "unpacked")).filter((name) => !name.endsWith(".boot"))).toHaveLength(1);
});

test("a member that died is launched again under its id", async () => {
  const first = await launch("shop-1");
  await ask(first);
  process.kill(first.notes.pid as number, "SIGKILL");
  await until("its death", async () => !(await launcher.isRunning(first)));
  const second = await launch("shop-1");
  expect(second.notes.pid).not.toBe(first.notes.pid);
  await ask(second);
});

test("the last words of a member that crashed are kept", async () => {
  const handle = await launch("shop-1", { environment: { CRASH_AFTER_MS: "10" } });
  await until("its crash", async () => !(await launcher.isRunning(handle)));
  expect(await launcher.lastWords(handle)).toContain("crashing as asked after 10 ms");
});

test("the last words of a member that talked much are its last 4 KB", async () => {
  mkdirSync(join(stateDir, "logs"), { recursive: true });
  writeFileSync(join(stateDir, "logs", "shop-9.log"), `${"x".repeat(100_000)}the end`);
  const words = await launcher.lastWords({ id: "shop-9", notes: {}, address: "", port: 0 });
  expect(words).toHaveLength(4096);
  expect(words.endsWith("xthe end")).toBe(true);
});

test("a member that ignores SIGTERM is ended all the same", async () => {
  const handle = await launch("shop-1", { environment: { IGNORE_SIGTERM: "1" } });
  await ask(handle);
  await launcher.end(handle, 100);
  expect(await launcher.isRunning(handle)).toBe(false);
});

test("a request in flight is answered before a politely ended member goes", async () => {
  const handle = await launch("shop-1");
  await ask(handle);
  const slow = fetch(`http://127.0.0.1:${handle.port}/slow?ms=300`, { headers: { connection: "close" } });
  await sleep(100);
  await launcher.end(handle, 5_000);
  expect((await slow).status).toBe(200);
});

test("a launcher killed at any point of a launch leaves nothing that its successor does not find", async () => {
  const program = join(dir, "launch.cjs");
  const built = join(__dirname, "../../../../dist/providers/local/launcher/index.js");
  writeFileSync(
    program,
    `const { LocalLauncher } = require(${JSON.stringify(built)});
     const [stateDir, request] = process.argv.slice(2);
     const launcher = new LocalLauncher({ stateDir });
     process.send("go");
     launcher.launch(JSON.parse(request), new AbortController().signal).then(() => setInterval(() => {}, 1000));`,
  );
  await launch("shop-0"); // The image is unpacked now: what follows hits the launch itself.
  let found = 0;
  for (let round = 0; round < 12; round++) {
    const id = `shop-kill-${round}`;
    const child = spawn(process.execPath, [program, stateDir, JSON.stringify(request(id))], {
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    await new Promise((resolve) => child.once("message", resolve));
    // By time, then right after the intent was written, then once the member is there.
    if (round < 6) await sleep(round * 2);
    else if (round < 10)
      await until("its record", async () => existsSync(join(stateDir, "launcher", `${id}.json`)));
    else await until("its process", async () => processesOf(dir, id).length > 0);
    child.kill("SIGKILL");
    await new Promise((resolve) => child.once("exit", resolve));
    const before = processesOf(dir, id);
    const handle = await launch(id);
    if (before.length > 0) found++;
    await ask(handle);
    expect(processesOf(dir, id)).toEqual([handle.notes.pid]);
    await launcher.end({ id, notes: {}, address: "", port: 0 }, 1_000);
    expect(processesOf(dir, id)).toEqual([]);
  }
  expect(found).toBeGreaterThan(0);
});

test("a handle of which only the id is known ends the member", async () => {
  const handle = await launch("shop-1");
  await launcher.end({ id: "shop-1", notes: {}, address: "", port: 0 }, 1_000);
  expect(await launcher.isRunning(handle)).toBe(false);
  expect(existsSync(join(stateDir, "launcher", "shop-1.json"))).toBe(false);
});

test("a claim taken by a successor keeps a late child from starting", async () => {
  const claim = join(dir, "late.claim");
  writeFileSync(claim, "abandoned\n");
  const { command, args } = claiming(claim, ["/bin/echo", "started"]);
  expect(() => execFileSync(command, args, { encoding: "utf8" })).toThrow(/Command failed/);
  expect(readFileSync(claim, "utf8")).toBe("abandoned\n");
});

test("an address that is not this machine's is named", async () => {
  await expect(launch("shop-1", { address: "192.0.2.7" })).rejects.toThrow(/cannot listen at 192\.0\.2\.7/);
});

test("an aborted launch starts nothing", async () => {
  const abort = new AbortController();
  abort.abort();
  await expect(launcher.launch(request("shop-1"), abort.signal)).rejects.toThrow(/stopped/);
  expect(processesOf(dir, "shop-1")).toEqual([]);
});

test("what was unpacked from an image goes when the site forgets it", async () => {
  const handle = await launch("shop-1");
  await launcher.end(handle, 1_000);
  await launcher.forget(image.digest);
  expect(readdirSync(join(stateDir, "unpacked"))).toEqual([]);
});
