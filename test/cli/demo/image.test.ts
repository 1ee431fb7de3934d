import { spawn, type ChildProcess } from "node:child_process";
import { createReadStream } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deflateSync } from "node:zlib";
import { extract } from "tar-stream";
import { buildShopImage } from "../../../cli/demo/image";
import { digestOf } from "../../support/image";
import { sleep } from "../../../lib/wait";

async function filesOf(path: string): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  const reader = extract();
  createReadStream(path).pipe(reader);
  for await (const entry of reader) {
    const chunks: Buffer[] = [];
    for await (const chunk of entry) chunks.push(chunk as Buffer);
    files.set(entry.header.name, Buffer.concat(chunks));
  }
  return files;
}

describe("the shop's image", () => {
  let folder: string;
  beforeAll(async () => (folder = await mkdtemp(join(tmpdir(), "spillway-image-"))));
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it("is the same bytes for the same options, and tells its digest and size", async () => {
    const options = { version: "v1", sizeBytes: 3_000_000 } as const;
    const first = await buildShopImage({ ...options, path: join(folder, "a.tar") });
    const second = await buildShopImage({ ...options, path: join(folder, "b.tar") });
    const bytes = await readFile(first.path);
    expect(second.digest).toBe(first.digest);
    expect(await digestOf(first.path)).toEqual({ digest: first.digest, bytes: first.sizeBytes });
    expect(bytes.length).toBeGreaterThan(2_900_000);
    expect(bytes.length).toBeLessThan(3_100_000);
    expect((await readdir(folder)).sort()).toEqual(["a.tar", "b.tar"]);
    const other = await buildShopImage({ ...options, seed: 2, path: join(folder, "c.tar") });
    expect(other.digest).not.toBe(first.digest);
  });

  it("tells the launcher what to start, and carries the shop", async () => {
    const { path } = await buildShopImage({
      path: join(folder, "m.tar"),
      version: "v2",
      sizeBytes: 1_000_000,
    });
    const files = await filesOf(path);
    expect([...files.keys()][0]).toBe("member.json");
    expect(JSON.parse(files.get("member.json")!.toString())).toEqual({
      command: ["node", "app/server.js"],
      environment: { SHOP_VERSION: "v2" },
    });
    expect(files.get("app/server.js")!.toString()).toContain("createServer");
  });

  it("is a mix: text that compresses, bytes that do not, and runs of zeros", async () => {
    const { path } = await buildShopImage({
      path: join(folder, "mix.tar"),
      version: "v1",
      sizeBytes: 6_000_000,
    });
    const ratio = { text: [] as number[], library: [] as number[], extent: [] as number[] };
    for (const [name, body] of await filesOf(path)) {
      const kind = /(text|library|extent)-/.exec(name)?.[1] as keyof typeof ratio | undefined;
      if (kind) ratio[kind].push(deflateSync(body, { level: 1 }).length / body.length);
    }
    expect(ratio.text.length).toBe(9);
    expect(Math.max(...ratio.text)).toBeLessThan(0.5);
    expect(Math.min(...ratio.library)).toBeGreaterThan(0.99);
    expect(Math.max(...ratio.extent)).toBeLessThan(0.4);
  });

  it("has a second version that shares most of its files with the first", async () => {
    const sizeBytes = 3_000_000;
    const v1 = await filesOf(
      (await buildShopImage({ path: join(folder, "1"), version: "v1", sizeBytes })).path,
    );
    const v2 = await filesOf(
      (await buildShopImage({ path: join(folder, "2"), version: "v2", sizeBytes })).path,
    );
    const changed = [...v2].filter(([name, body]) => !v1.get(name)?.equals(body)).map(([name]) => name);
    expect([...v1.keys()]).toEqual([...v2.keys()]);
    expect(changed).toEqual(["member.json", "usr/share/text-01.txt", "usr/lib/library-21.bin"]);
    // The changed text is the old one with lines put in: moved, not new.
    const [before, after] = [v1.get("usr/share/text-01.txt")!, v2.get("usr/share/text-01.txt")!];
    expect(after.length).toBeGreaterThan(before.length);
    expect(after.subarray(-100_000).equals(before.subarray(-100_000))).toBe(true);
  });
});

describe("the shop", () => {
  let shop: ChildProcess | undefined;
  let port: number;

  async function start(environment: Record<string, string> = {}): Promise<void> {
    const probe = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => probe.once("listening", resolve));
    port = (probe.address() as AddressInfo).port;
    await new Promise((resolve) => probe.close(resolve));
    shop = spawn(process.execPath, [join(__dirname, "../../../cli/demo/shop-app/server.js")], {
      env: {
        HOST: "127.0.0.1",
        PORT: String(port),
        SPILLWAY_SITE: "cloud",
        SPILLWAY_POOL: "shop",
        SPILLWAY_MEMBER: "m-1",
        SHOP_VERSION: "v1",
        START_DELAY_MS: "0",
        ...environment,
      },
      stdio: "ignore",
    });
  }
  const get = (path = "/") => fetch(`http://127.0.0.1:${port}${path}`, { keepalive: false });
  async function up(): Promise<void> {
    for (;;) {
      if (
        await get("/healthz").then(
          (answer) => answer.ok,
          () => false,
        )
      )
        return;
      await sleep(20);
    }
  }
  afterEach(() => shop?.kill("SIGKILL"));

  it("says who it is", async () => {
    await start();
    await up();
    expect(await (await get()).json()).toEqual({ site: "cloud", pool: "shop", member: "m-1", version: "v1" });
    expect((await get("/other")).status).toBe(404);
  });

  it("takes its time to start", async () => {
    const began = Date.now();
    await start({ START_DELAY_MS: "600" });
    await up();
    expect(Date.now() - began).toBeGreaterThanOrEqual(600);
  });

  it("has a capacity: four at a time of 20 ms each are 200 requests a second, and more than that wait", async () => {
    await start();
    await up();
    await get();
    const began = performance.now();
    const latencies = await Promise.all(
      Array.from({ length: 100 }, async () => {
        await (await get()).text();
        return performance.now() - began;
      }),
    );
    const took = Math.max(...latencies);
    expect(took).toBeGreaterThanOrEqual(500 - 1);
    expect(took).toBeLessThan(1_200);
    expect(Math.min(...latencies)).toBeLessThan(200);
  });

  it("finishes what it has begun when it is told to end", async () => {
    await start({ WORK_MS: "400" });
    await up();
    const answer = get();
    await sleep(100);
    const ended = new Promise((resolve) => shop!.once("exit", (code) => resolve(code)));
    shop!.kill("SIGTERM");
    await sleep(50);
    await expect(get()).rejects.toThrow();
    expect(await (await answer).json()).toMatchObject({ member: "m-1" });
    expect(await ended).toBe(0);
  });
});
