import { CreateBucketCommand, ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bytesOf, mixedImage, writeOld } from "../lib/image/support/images";
import { describeWithSshd, REMOTE_COMMAND, startSshd, type Sshd } from "../lib/image/targets/support/sshd";
import { describeWithMoto, SECRET, startMoto, type Moto } from "../support/aws/moto";
import { onlyJson, refusal, spillway, startSpillway } from "./support/spillway";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "spillway-cli-image-"));
});
afterEach(() => {
  rmSync(dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
});

const options = (env: Readonly<Record<string, string>> = {}) => ({
  cwd: dir,
  env: { XDG_CACHE_HOME: join(dir, "cache"), XDG_CONFIG_HOME: join(dir, "config"), ...env },
});
const image = (...args: string[]) => spillway(["image", ...args], options());
const file = (name: string, bytes: Uint8Array) => writeOld(join(dir, name), bytes);
const digestIn = (stdout: string) => /sha256:[0-9a-f]{64}/.exec(stdout)?.[0] ?? "none";

function changed(old: Buffer, offset: number): Buffer {
  const copy = Buffer.from(old);
  bytesOf(99, 300_000).copy(copy, offset);
  return copy;
}

function damage(path: string): void {
  const handle = openSync(path, "r+");
  writeSync(handle, Buffer.from([1, 2, 3]), 0, 3, 2 ** 20 + 5);
  closeSync(handle);
}

test("--help names every verb and every sort of target", async () => {
  const { code, stdout } = await image("--help");
  expect(code).toBe(0);
  for (const verb of ["index", "diff", "push", "verify", "pull", "cap"])
    expect(stdout).toMatch(new RegExp(`^ {2}${verb} `, "m"));
  for (const target of ["site:NAME", "https://", "ssh://", "s3://", "directory"])
    expect(stdout).toContain(target);
  // For the far end of ssh alone.
  expect(stdout).not.toMatch(/^ {2}serve/m);
});

describe("index and diff", () => {
  test("say what an image is, and what of a new one is new, part by part", async () => {
    const old = mixedImage(1, 2_000_000);
    file("v1.raw", old);
    file("v2.raw", changed(old, 500_000));
    const text = await image("index", "v1.raw");
    expect(text.code).toBe(0);
    expect(text.stdout).toMatch(
      /^sha256:[0-9a-f]{64}\n2\.87 MB, .* in use\n\nOFFSET +SIZE +KIND +TREATED +IN USE +WHY\n0 /,
    );
    const json = onlyJson(await image("index", "v1.raw", "--json"));
    expect(json).toMatchObject({ ok: true, digest: digestIn(text.stdout), sizeBytes: old.length });
    expect(json.parts).toEqual([
      expect.objectContaining({ offset: 0, length: old.length, treated: "exact" }),
    ]);
    const difference = onlyJson(await image("diff", "v1.raw", "v2.raw", "--json"));
    expect(difference).toMatchObject({ ok: true, old: { digest: digestIn(text.stdout) } });
    expect(difference.newBytes).toBeGreaterThan(300_000);
    expect(difference.newBytes).toBeLessThan(350_000);
    // Whatever it begins with.
    file("q.raw", Buffer.concat([Buffer.from("QFI\xfb", "latin1"), old]));
    expect((await image("diff", "q.raw", "q.raw")).code).toBe(1);
    expect((await image("diff", "q.raw", "q.raw", "--format", "raw")).code).toBe(0);
    expect((await image("diff", "v1.raw", "v1.raw")).stdout).toMatch(/would send 0 B/);
  });

  test("of a file that is not there say so", async () => {
    const { code, stderr } = await image("index", "none.raw");
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/^error: there is no image file/),
    });
    const json = await image("diff", "none.raw", "none.raw", "--json");
    expect(json.code).toBe(1);
    expect(onlyJson(json)).toEqual(refusal(expect.stringContaining("no image file")));
  });
});

describe("push and verify, with a directory", () => {
  test("bring an image there, only what is new of the next, and find damage", async () => {
    const old = mixedImage(2, 2_000_000);
    const source = file("v1.raw", old);
    file("v2.raw", changed(old, 400_000));
    const planned = onlyJson(await image("push", "v1.raw", "store", "--dry-run", "--json"));
    expect(planned).toMatchObject({
      ok: true,
      dryRun: true,
      estimate: { rateIs: "assumed", presentBytes: expect.any(Number) },
    });
    expect(readdirSync(dir)).not.toContain("store");
    const first = await image("push", "v1.raw", "store");
    expect(first).toMatchObject({ code: 0, stdout: expect.stringMatching(/in use: sent 2\.\d+ MB in /) });
    const digest = digestIn(first.stdout);
    const stored = join(dir, "store", `${digest.slice(7)}.img`);
    expect(readFileSync(stored).equals(readFileSync(source))).toBe(true);
    const second = onlyJson(
      await image("push", "v2.raw", "store", "--json", "--streams", "2", "--cap", "1Gbit"),
    );
    expect(second).toMatchObject({ ok: true, target: join(dir, "store") });
    expect(second.sentBytes).toBeLessThan(350_000);

    expect(await image("verify", "store", digest)).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/every block is right/),
    });
    expect(onlyJson(await image("verify", "v1.raw", digest.slice(7), "--json"))).toMatchObject({
      ok: true,
      digest,
    });
    damage(stored);
    const damaged = await image("verify", "store", digest, "--json");
    expect(damaged.code).toBe(1);
    expect(onlyJson(damaged)).toEqual(
      refusal(expect.stringMatching(/1 of 3 blocks are wrong, the first at offset 1048576/), stored),
    );
    expect(await image("verify", stored, digest)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/is not the image/),
    });
  }, 60_000);

  test.each<[string, string[], RegExp]>([
    [
      "a place that is not there",
      ["verify", "store", `sha256:${"0".repeat(64)}`],
      /no file and no directory "store"/,
    ],
    [
      "a file that has another digest",
      ["push", "v1.raw", "store", "--digest", `sha256:${"0".repeat(64)}`],
      /has the digest/,
    ],
    ["a target that is a file", ["push", "v1.raw", "v1.raw"], /not a directory/],
    ["a site that nobody knows", ["push", "v1.raw", "site:mars"], /spillway\.json|no site|no burst/i],
    [
      "to keep a place current with a file that is not there",
      ["push", "nosuch", "store", "--every", "1s"],
      /no image file/,
    ],
  ])("refuse %s, with exit code 1 and a mend", async (_, args, problem) => {
    file("v1.raw", mixedImage(3, 100_000));
    const { code, stderr } = await image(...args);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(problem) });
    expect(stderr).toMatch(/mend: \w/);
  });

  test.each<[string, string[], RegExp]>([
    ["a digest that is none", ["verify", "store", "abc"], /"abc" is not an image digest/],
    ["a digest to be that is none", ["push", "v1.raw", "store", "--digest", "abc"], /not an image digest/],
    ["a target of no known sort", ["push", "v1.raw", "ftp://host/x"], /nothing is known of targets/],
    ["an address with a slash too few", ["push", "v1.raw", "s3:/foo"], /targets such as "s3:\/foo"/],
    ["a cap that is none", ["push", "v1.raw", "store", "--cap", "fast"], /"fast" is not a rate/],
    ["a window that is none", ["push", "v1.raw", "store", "--window", "noon"], /not a window of time/],
    ["an interval that is none", ["push", "v1.raw", "store", "--every", "soon"], /at least 1 s, got "soon"/],
    [
      "a pull from what is no bucket",
      ["pull", "store", `sha256:${"0".repeat(64)}`, "x"],
      /no address of a bucket/,
    ],
  ])("refuse %s as wrong usage, with a mend, and make nothing", async (_, args, problem) => {
    file("v1.raw", mixedImage(3, 100_000));
    const { code, stderr } = await image(...args);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(problem) });
    expect(stderr).toMatch(/mend: \w/);
    expect(readdirSync(dir)).toEqual(["v1.raw"]);
  });

  test("speak of the directory, and of no site, when it does not have the image", async () => {
    mkdirSync(join(dir, "store"));
    const verify = () => image("verify", "store", `sha256:${"0".repeat(64)}`);
    expect(await verify()).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/no images were ever pushed to this directory/),
    });
    expect(readdirSync(join(dir, "store"))).toEqual([]);
    file("v1.raw", mixedImage(3, 100_000));
    await image("push", "v1.raw", "store");
    const { code, stderr } = await verify();
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringContaining(`the directory ${join(dir, "store")} does not hold the image`),
    });
    expect(stderr).not.toMatch(/site|image_replica/);
  });

  test("wait while the machine's cap is off; Ctrl-C ends that, and what has arrived is kept", async () => {
    file("v1.raw", mixedImage(4, 3_000_000));
    await image("cap", "off");
    const pushing = startSpillway(["image", "push", "v1.raw", "store"], options());
    const deadline = Date.now() + 15_000;
    while (!existsSync(join(dir, "store")) || readdirSync(join(dir, "store")).length < 2) {
      if (Date.now() > deadline) throw new Error(`it does not begin:\n${pushing.stderr()}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const ended = await pushing.stop("SIGINT");
    expect(ended).toMatchObject({
      code: 130,
      stdout: "",
      stderr: expect.stringMatching(/what has arrived is kept/),
    });
    const again = startSpillway(["image", "push", "v1.raw", "store"], options());
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(again.child.exitCode).toBeNull();
    // The running push follows.
    await image("cap", "none");
    expect(await again.ended).toMatchObject({ code: 0, stdout: expect.stringMatching(/^sha256:/) });
  }, 60_000);

  test("keep a directory current until Ctrl-C", async () => {
    const old = mixedImage(5, 1_000_000);
    file("v1.raw", old);
    const keeping = startSpillway(["image", "push", "v1.raw", "store", "--every", "1s"], options());
    await keeping.until(/^\S+Z sha256:\w+: .*sent 1\.\d+ MB.*\n/);
    writeFileSync(join(dir, "v1.raw"), changed(old, 100_000));
    await keeping.until(/\n\S+Z sha256:\w+: .*sent 3\d\d kB.*\n/);
    const ended = await keeping.stop("SIGINT");
    expect(ended.code).toBe(130);
    expect(new Set(ended.stdout.match(/sha256:\w+/g)).size).toBe(2);
  }, 40_000);
});

describe("cap", () => {
  test("keeps what it is not told: windows, or the rate", async () => {
    await image("cap", "20Mbit", "--window", "daily 00:00-24:00 10Mbit");
    const faster = await image("cap", "40Mbit");
    expect(faster.stdout).toMatch(/^now: 10 Mbit\/s.*\nwindow: .*10 Mbit\/s\notherwise: 40 Mbit\/s\n/);
    const other = onlyJson(await image("cap", "--window", "daily 00:00-24:00 5Mbit", "--json"));
    expect(other).toMatchObject({ nowBps: 5_000_000, cap: "40 Mbit/s" });
    expect(other.windows).toHaveLength(1);
    expect((await image("cap", "--no-windows")).stdout).toMatch(/^now: 40 Mbit\/s\n\//);
  }, 30_000);

  test("is shown and set, with windows, and mends a file that is broken", async () => {
    expect((await image("cap")).stdout).toMatch(/^now: unlimited\n/);
    expect((await image("cap", "20Mbit")).stdout).toMatch(/^now: 20 Mbit\/s\n/);
    const windowed = onlyJson(await image("cap", "20Mbit", "--window", "daily 00:00-24:00 10Mbit", "--json"));
    expect(windowed).toMatchObject({ ok: true, nowBps: 10_000_000, cap: "20 Mbit/s" });
    const { file: path } = windowed as { file: string };
    expect(path.startsWith(dir)).toBe(true);
    expect(await image("cap", "fast")).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/"fast" is not a rate/),
    });
    expect(onlyJson(await image("cap", "--json"))).toMatchObject({ nowBps: 10_000_000 });
    writeFileSync(path, "{");
    expect((await image("cap")).code).toBe(1);
    expect(onlyJson(await image("cap", "none", "--json"))).toMatchObject({ ok: true, nowBps: null });
  }, 30_000);
});

describeWithSshd("push and verify over ssh", () => {
  let sshd: Sshd;
  beforeAll(async () => {
    sshd = await startSshd();
  });
  afterAll(() => sshd.stop());

  test("bring an image to another machine's directory, and read it again there", async () => {
    const bytes = mixedImage(6, 2_000_000);
    file("v1.raw", bytes);
    const far = join(dir, "far");
    const target = `ssh://${sshd.user}@127.0.0.1:${sshd.port}${far}`;
    const shell = ["--rsh", sshd.rsh, "--remote-command", REMOTE_COMMAND];
    const pushed = onlyJson(await image("push", "v1.raw", target, ...shell, "--json"));
    expect(pushed).toMatchObject({ ok: true, target });
    const digest = String(pushed.digest);
    expect(readFileSync(join(far, `${digest.slice(7)}.img`)).equals(bytes)).toBe(true);
    expect(await image("verify", target, digest, ...shell)).toMatchObject({ code: 0 });
    const elsewhere = await image("verify", `${target}/nothing/here`, digest, ...shell);
    expect(elsewhere).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/there is no directory of images\n.*far\/nothing\/here/),
    });
    expect(existsSync(join(far, "nothing"))).toBe(false);
    const refused = await image("push", "v1.raw", target, "--rsh", sshd.wrongHostRsh);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(/mend: .*known_hosts/) });
  }, 60_000);
});

describeWithMoto("push, pull and verify with a bucket", () => {
  let moto: Moto;
  let client: S3Client;
  beforeAll(async () => {
    moto = await startMoto();
    const { AWS_REGION: region, AWS_ACCESS_KEY_ID: accessKeyId } = moto.environment;
    // Of the client that is used here.
    process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = "true";
    client = new S3Client({
      ...{ region, endpoint: moto.endpoint, forcePathStyle: true },
      credentials: { accessKeyId, secretAccessKey: SECRET },
    });
    await client.send(new CreateBucketCommand({ Bucket: "machine-images" }));
  }, 40_000);
  afterAll(() => {
    client.destroy();
    return moto.stop();
  });

  const run = (args: string[], env: Readonly<Record<string, string>> = {}) =>
    spillway(["image", ...args], options({ ...moto.environment, ...env }));

  test("bring images there and home again", async () => {
    const old = mixedImage(7, 2_000_000);
    file("v1.raw", old);
    file("v2.raw", changed(old, 700_000));
    const bucket = "s3://machine-images/shop";
    expect(await run(["push", "v1.raw", bucket])).toMatchObject({ code: 0 });
    const pushed = onlyJson(await run(["push", "v2.raw", bucket, "--json"]));
    expect(pushed).toMatchObject({ ok: true, target: bucket });
    expect(pushed.sentBytes).toBeLessThan(350_000);
    const digest = String(pushed.digest);
    expect(await run(["verify", bucket, digest])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/every block/),
    });
    const pulled = onlyJson(await run(["pull", bucket, digest, "home/v2.raw", "--json"]));
    expect(pulled).toMatchObject({ ok: true, path: join(dir, "home", "v2.raw") });
    expect(readFileSync(join(dir, "home", "v2.raw")).equals(readFileSync(join(dir, "v2.raw")))).toBe(true);
    expect(readdirSync(join(dir, "home"))).toEqual(["v2.raw"]);
    // It is nobody else's: a machine may be run from it.
    expect(statSync(join(dir, "home", "v2.raw")).mode & 0o200).toBe(0o200);
    expect(await run(["pull", bucket, digest, "home/v2.raw"])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/is there already/),
    });
    mkdirSync(join(dir, "images"));
    const kept = await run(["pull", bucket, digest, "images"]);
    expect(kept.stdout).toMatch(new RegExp(`images/${digest.slice(7)}\\.img\n`));
  }, 60_000);

  test("go on where a push was killed with kill -9", async () => {
    const bytes = bytesOf(11, 12_000_000);
    file("v1.raw", bytes);
    const bucket = "s3://machine-images/killed";
    const args = ["image", "push", "v1.raw", bucket, "--streams", "2"];
    const killed = startSpillway([...args, "--cap", "40Mbit"], options(moto.environment));
    const list = new ListObjectsV2Command({ Bucket: "machine-images", Prefix: "killed/transfers/" });
    const deadline = Date.now() + 30_000;
    while (!(await client.send(list)).Contents?.some(({ Key = "" }) => Key.includes("/arrived/"))) {
      if (Date.now() > deadline) throw new Error(`nothing arrives:\n${killed.stderr()}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await killed.stop("SIGKILL");
    const pushed = onlyJson(await run([...args.slice(1), "--json"]));
    expect(pushed.sentBytes).toBeLessThan(bytes.length - 500_000);
    await run(["pull", bucket, String(pushed.digest), "back.raw"]);
    expect(readFileSync(join(dir, "back.raw")).equals(bytes)).toBe(true);
  }, 60_000);

  test.each<[string, Record<string, string>, string, RegExp]>([
    ["no such bucket", {}, "s3://no-such-bucket/x", /no bucket "no-such-bucket"/],
    [
      "no credentials",
      { AWS_ACCESS_KEY_ID: "", AWS_SECRET_ACCESS_KEY: "" },
      "s3://machine-images/x",
      /no AWS credentials/,
    ],
    [
      "nobody at the endpoint",
      { AWS_ENDPOINT_URL: "http://127.0.0.1:9" },
      "s3://machine-images/x",
      /ECONNREFUSED/,
    ],
  ])("say so when there is %s, and never a secret", async (_, env, bucket, problem) => {
    file("v1.raw", mixedImage(8, 100_000));
    const ended = await run(["push", "v1.raw", bucket], { HOME: dir, ...env });
    expect(ended).toMatchObject({ code: 1, stderr: expect.stringMatching(problem) });
    expect(ended.stderr + ended.stdout).not.toContain(SECRET);
  });
});
