import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { PushResult } from "../../../../lib/image/near";
import { sleep } from "../../../../lib/wait";
import { bytesOf, scratch, writeOld } from "../support/images";

const directory = scratch();
const cacheDirectory = join(directory.path, "cache");
const started: ChildProcess[] = [];
let number = 0;
const TOKEN = "only-a-test-of-images";

afterEach(async () => {
  for (const child of started.splice(0)) await kill(child);
});
afterAll(directory.remove);

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}

function start(script: string, args: readonly string[], prefix: readonly string[] = []): ChildProcess {
  const [command, ...rest] = [...prefix, process.execPath, join(__dirname, "..", "support", script), ...args];
  const child = spawn(command, rest, {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, SPILLWAY_IMAGE_TEST_TOKEN: TOKEN },
  });
  started.push(child);
  return child;
}

/** A store in a process of its own, and where it answers. */
async function startStore(
  path: string,
  port = 0,
  prefix: readonly string[] = [],
): Promise<{ child: ChildProcess; port: number }> {
  const child = start("store-process.cjs", [path, String(port)], prefix);
  const [line] = (await once(child.stdout!, "data")) as [Buffer];
  return { child, port: Number(line.toString()) };
}

async function outcome(
  child: ChildProcess,
): Promise<PushResult & { error?: string; code?: string; peakBytes: number }> {
  let text = "";
  child.stdout!.on("data", (part: Buffer) => (text += part.toString()));
  await once(child, "close");
  return JSON.parse(text);
}

function image(bytes: Buffer): string {
  return writeOld(join(directory.path, `image-${++number}`), bytes);
}

async function peakOf(port: number): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${port}/v1/memory`, {
    headers: { authorization: `Bearer ${TOKEN}` },
  });
  return ((await answer.json()) as { peakBytes: number }).peakBytes;
}

/** Bytes of what is arriving at a store. */
function arrivedIn(store: string): number {
  const partial = readdirSync(store).filter((name) => name.endsWith(".partial"));
  return partial.reduce((sum, name) => sum + statSync(join(store, name)).blocks * 512, 0);
}

describe("a push that is killed with kill -9", () => {
  it("goes on with the next one, at most a segment for each stream is sent again", async () => {
    const bytes = bytesOf(50, 64_000_000);
    const source = image(bytes);
    const path = join(directory.path, "store-1");
    const { port } = await startStore(path);
    const args = [`http://127.0.0.1:${port}`, source, cacheDirectory];
    for (let i = 1; i <= 2; i++) {
      // So slow that it is always cut in the middle.
      const child = start("push-process.cjs", [...args, "80000000"]);
      while (arrivedIn(path) < i * 10_000_000) await sleep(20);
      await kill(child);
    }
    const last = await outcome(start("push-process.cjs", args));
    const present = last.presentBytes;
    expect(last.error).toBeUndefined();
    expect(present).toBeGreaterThan(8_000_000);
    expect(last.sentBytes).toBeLessThan(bytes.length - present + 200_000);
    const file = join(path, `${last.digest.slice(7)}.img`);
    expect(readFileSync(file).equals(bytes)).toBe(true);
  });
});

describe("a store that is killed with kill -9", () => {
  it("is started again any number of times under one push, which ends well", async () => {
    const bytes = bytesOf(51, 60_000_000);
    const path = join(directory.path, "store-2");
    let { child, port } = await startStore(path);
    const pushing = outcome(
      start("push-process.cjs", [`http://127.0.0.1:${port}`, image(bytes), cacheDirectory, "80000000"]),
    );
    for (let i = 0; i < 4; i++) {
      await sleep(700 + i * 130);
      await kill(child);
      ({ child, port } = await startStore(path, port));
    }
    const result = await pushing;
    expect(result.error).toBeUndefined();
    expect(readFileSync(join(path, `${result.digest.slice(7)}.img`)).equals(bytes)).toBe(true);
    // Sent again: what was on its way at each kill, not what had been taken.
    expect(result.sentBytes).toBeLessThan(bytes.length + 400_000);
  });
});

describe("a store whose disk is full", () => {
  it("says so, keeps what it has, and goes on when there is room", async () => {
    const bytes = bytesOf(52, 24_000_000);
    const source = image(bytes);
    const path = join(directory.path, "store-3");
    // The limit on a file's size stands for the disk's: 16,000 KiB, in units of 512 bytes.
    const full = ["sh", "-c", 'ulimit -f 32000 && exec "$@"', "sh"];
    const { child, port } = await startStore(path, 0, full);
    const failed = await outcome(
      start("push-process.cjs", [`http://127.0.0.1:${port}`, source, cacheDirectory]),
    );
    expect(failed.code).toBe("disk-full");
    expect(failed.error).toMatch(/the disk of the image store is full: .*Free space there/);
    await kill(child);
    const { port: again } = await startStore(path);
    const result = await outcome(
      start("push-process.cjs", [`http://127.0.0.1:${again}`, source, cacheDirectory]),
    );
    expect(result.presentBytes).toBeGreaterThan(0);
    expect(readFileSync(join(path, `${result.digest.slice(7)}.img`)).equals(bytes)).toBe(true);
  });
});

describe("memory", () => {
  it("stays small at both ends for an image of 256 MB, most of it noise", async () => {
    const path = join(directory.path, "store-4");
    const source = image(
      Buffer.concat([bytesOf(53, 160_000_000), Buffer.alloc(32_000_000), bytesOf(54, 64_000_000, "text")]),
    );
    const { port } = await startStore(path);
    const result = await outcome(
      start("push-process.cjs", [`http://127.0.0.1:${port}`, source, cacheDirectory]),
    );
    expect(statSync(join(path, `${result.digest.slice(7)}.img`)).size).toBe(256_000_000);
    expect(result.peakBytes).toBeLessThan(400_000_000);
    expect(await peakOf(port)).toBeLessThan(250_000_000);
  });
});
