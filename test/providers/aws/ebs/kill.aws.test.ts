import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { sleep } from "../../../../lib/wait";
import type { EbsService } from "../../../../providers/aws/ebs";
import { bytesOf, writeOld } from "../../../lib/image/support/images";
import { describeWithMoto, startMoto, type Moto } from "../../../support/aws/moto";
import { FaultProxy } from "./support/fault-proxy";
import { bytesIn, Home, openEbs, ours } from "./support/region";

const CLI = join(__dirname, "..", "..", "..", "..", "dist", "cli", "main.js");
const BLOCK = 512 * 1024;
const BLOCKS = 60;
const STREAMS = 4;
let moto: Moto;
let proxy: FaultProxy;
let home: Home;
let ebs: EbsService;
let image: Buffer;
let path: string;
const before = { ...process.env };

interface Push {
  readonly child: ChildProcess;
  readonly ended: Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>;
}

/** The command itself, as a process of its own. */
function push(...options: string[]): Push {
  const args = [
    CLI,
    "image",
    "push",
    path,
    "ebs:us-east-1",
    "--json",
    "--streams",
    String(STREAMS),
    ...options,
  ];
  const env = {
    ...process.env,
    XDG_CACHE_HOME: join(home.path, "xdg"),
    XDG_CONFIG_HOME: join(home.path, "config"),
  };
  const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const ended = new Promise<Awaited<Push["ended"]>>((resolve) =>
    child.once("close", (code) => resolve({ code, stdout, stderr })),
  );
  return { child, ended };
}

async function killedAfter(puts: number): Promise<void> {
  const { child, ended } = push();
  for (let i = 0; proxy.puts().length < puts && child.exitCode === null && i < 2_000; i++) await sleep(10);
  child.kill("SIGKILL");
  await ended;
  // What the service had taken when the process was killed.
  await sleep(200);
}

async function arrives(
  ...options: string[]
): Promise<{ snapshotId: string; sentBytes: number; digest: string }> {
  const { code, stdout, stderr } = await push(...options).ended;
  if (code !== 0) throw new Error(stderr);
  const made = JSON.parse(stdout) as Awaited<ReturnType<typeof arrives>>;
  expect((await bytesIn(ebs, made.snapshotId)).equals(image)).toBe(true);
  return made;
}

describeWithMoto("a push of a snapshot that was killed", () => {
  beforeAll(async () => {
    if (!existsSync(CLI)) throw new Error("build first: node scripts/build.mjs");
    moto = await startMoto();
  }, 40_000);
  afterAll(() => moto.stop());
  let seed = 0;
  beforeEach(async () => {
    proxy = await FaultProxy.before(moto.endpoint);
    proxy.delayMs = 30;
    Object.assign(process.env, moto.environment, { AWS_ENDPOINT_URL: proxy.endpoint });
    home = new Home();
    ebs = await openEbs();
    image = bytesOf((seed += 10), BLOCKS * BLOCK + 77);
    path = writeOld(join(home.path, "shop.raw"), image);
  });
  afterEach(async () => {
    ebs.close();
    home.remove();
    await proxy.close();
    process.env = { ...before };
  });

  it("goes on with the same one, and sends again at most what was on its way", async () => {
    await killedAfter(30);
    const sent = proxy.puts().length;
    expect(sent).toBeLessThan(BLOCKS);
    const made = await arrives();
    expect(proxy.count("StartSnapshot")).toBe(1);
    expect(proxy.puts().length).toBeLessThanOrEqual(BLOCKS + 1 + STREAMS + 1);
    expect(made.sentBytes).toBeLessThanOrEqual((BLOCKS + 1 - sent + STREAMS + 1) * BLOCK);
    expect((await ours(ebs)).filter(({ tags }) => tags["spillway:image"] === made.digest)).toHaveLength(1);
  }, 60_000);

  it("again and again comes to its end with one snapshot", async () => {
    for (const puts of [1, 15, 30, 45]) await killedAfter(puts);
    const made = await arrives();
    expect(proxy.count("StartSnapshot")).toBe(1);
    expect(proxy.puts().length).toBeLessThanOrEqual(BLOCKS + 1 + 4 * (STREAMS + 1));
    expect((await ours(ebs)).filter(({ tags }) => tags["spillway:image"] === made.digest)).toHaveLength(1);
    const pending = join(home.path, "xdg", "spillway", "snapshots", "pending");
    for (const name of readdirSync(pending))
      expect(readdirSync(join(pending, name))).not.toContain("journal");
  }, 90_000);

  it("right after it was completed is only marked so", async () => {
    proxy.fault = ({ name }) => (name === "ec2:CreateTags" ? "hang" : undefined);
    const { child, ended } = push();
    for (let i = 0; proxy.count("ec2:CreateTags") === 0 && i < 2_000; i++) await sleep(10);
    child.kill("SIGKILL");
    await ended;
    proxy.fault = () => undefined;
    const puts = proxy.puts().length;
    expect(await arrives()).toMatchObject({ sentBytes: 0 });
    expect(proxy.puts()).toHaveLength(puts);
  }, 60_000);

  it("is begun anew when AWS has given up the one that was pending", async () => {
    await killedAfter(20);
    const mine = (await ours(ebs)).filter(({ tags }) => tags["spillway:complete"] === undefined);
    expect(mine).toHaveLength(1);
    await ebs.delete(mine[0]!.id, {});
    const now = Date.now();
    // A journal of a moment ago could be of a snapshot that is not known everywhere yet.
    const made = await arrives();
    expect(Date.now() - now).toBeLessThan(30_000);
    expect(made.snapshotId).not.toBe(mine[0]!.id);
    expect(made.sentBytes).toBe((BLOCKS + 1) * BLOCK);
  }, 60_000);

  it("is gone on with by two at once, which make one of it", async () => {
    await killedAfter(20);
    const [one, other] = [push(), push()];
    const ends = await Promise.all([one.ended, other.ended]);
    expect(ends.map(({ code }) => code)).toEqual([0, 0]);
    const ids = ends.map(({ stdout }) => (JSON.parse(stdout) as { snapshotId: string }).snapshotId);
    expect(ids[0]).toBe(ids[1]);
    expect(proxy.count("StartSnapshot")).toBe(1);
    expect(proxy.puts().length).toBeLessThanOrEqual(BLOCKS + 1 + STREAMS + 1);
  }, 60_000);

  it("is gone on with by another machine, which has no journal, in the same snapshot", async () => {
    await killedAfter(20);
    const there = home;
    home = new Home();
    try {
      const made = await arrives();
      expect(proxy.count("StartSnapshot")).toBe(1);
      expect((await ours(ebs)).filter(({ tags }) => tags["spillway:image"] === made.digest)).toHaveLength(1);
    } finally {
      there.remove();
    }
  }, 60_000);
});
