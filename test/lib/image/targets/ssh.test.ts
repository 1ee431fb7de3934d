import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { estimateTransfer, pushImage, type PushOptions } from "../../../../lib/image/near";
import { SshTarget, type SshTargetOptions } from "../../../../lib/image/targets";
import { DirectoryLock } from "../../../../lib/site/agent/directory-lock";
import { sleep } from "../../../../lib/wait";
import { bytesOf, listening, mixedImage, writeOld } from "../support/images";
import { describeWithSshd, REMOTE_COMMAND, startSshd, type Sshd } from "./support/sshd";

let sshd: Sshd;
let home: string;
const opened: SshTarget[] = [];

const target = (directory: string, options: SshTargetOptions = {}, host = "127.0.0.1") => {
  const address = { destination: `${sshd.user}@${host}`, port: sshd.port, directory };
  const made = new SshTarget(address, { rsh: sshd.rsh, remoteCommand: REMOTE_COMMAND, ...options });
  opened.push(made);
  return made;
};
const push = (source: string, to: SshTarget, options: Partial<PushOptions> = {}) =>
  pushImage({ source, target: to, context: listening(), cacheDirectory: join(home, "cache"), ...options });
const held = (directory: string, digest: string) => readFileSync(join(directory, `${digest.slice(7)}.img`));

/** Who holds the store there now. */
function holder(directory: string): { readonly pid: number } | undefined {
  const [name] = readdirSync(directory).filter((file) => /^store\.lock\.\d+$/.test(file));
  const text = name === undefined ? "released" : readFileSync(join(directory, name), "utf8");
  return text.startsWith("released") ? undefined : (JSON.parse(text) as { pid: number });
}

async function until(condition: () => boolean, what: string): Promise<void> {
  for (let i = 0; !condition(); i++) {
    if (i > 400) throw new Error(`never: ${what}`);
    await sleep(25);
  }
}

describeWithSshd("a directory over ssh", () => {
  beforeAll(async () => {
    sshd = await startSshd();
  });
  afterAll(() => sshd.stop());
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), "spillway-ssh-"));
  });
  afterEach(() => {
    for (const one of opened.splice(0)) one.close();
    // The far side may be closing its files still.
    rmSync(home, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  });

  it("takes an image over several connections, and verifies it again; nothing is left running there", async () => {
    const image = mixedImage(1, 6_000_000);
    const source = writeOld(join(home, "v1.raw"), image);
    const directory = join(
      home,
      "a directory's name that is far too long for the name of a socket".repeat(2),
    );
    const to = target(directory);
    expect(await to.connect()).toBe(directory);
    const { digest, sentBytes } = await push(source, to, { streams: { start: 3, max: 3 } });
    expect(sentBytes).toBeGreaterThan(5_500_000);
    expect(held(directory, digest).equals(image)).toBe(true);
    expect(await to.verify(digest)).toMatchObject({ digest, complete: true });
    await expect(to.verify(`sha256:${"0".repeat(64)}`)).rejects.toMatchObject({ code: "image-missing" });
    expect(holder(directory)).toBeDefined();
    to.close();
    await until(() => holder(directory) === undefined, "the far side ends with the last connection");
    expect(readdirSync(directory)).not.toContain("serve.sock");
  });

  it("is only looked at when that is all that is wanted: nothing is made there", async () => {
    const directory = join(home, "far");
    const source = writeOld(join(home, "v1.raw"), mixedImage(8, 2_000_000));
    const cacheDirectory = join(home, "cache");
    const ask = async () =>
      (await estimateTransfer({ source, target: target(directory, { peek: true }), cacheDirectory }))
        .estimate;
    expect((await ask()).sendBytes).toBeGreaterThan(1_900_000);
    expect(existsSync(directory)).toBe(false);
    await push(source, target(directory));
    // While another connection holds it.
    expect((await ask()).sendBytes).toBe(0);
  });

  it("is not made, nor made a place of images, by who only reads", async () => {
    const missing = join(home, "far", "missing");
    const reading = (directory: string) => target(directory, { mustExist: true }).connect();
    await expect(reading(missing)).rejects.toMatchObject({
      code: "not-found",
      report: { place: expect.stringContaining(missing), problem: "there is no directory of images" },
    });
    expect(existsSync(join(home, "far"))).toBe(false);
    await expect(reading(home)).rejects.toThrow(/no images were ever pushed/);
    expect(readdirSync(home)).toEqual([]);
  });

  it("is reached past what its user's ssh configuration says for logins by hand", async () => {
    const config = join(home, "config");
    const forward = `RemoteForward 127.0.0.1:${sshd.port} 127.0.0.1:1`;
    writeFileSync(
      config,
      `Host *\n  RemoteCommand true\n  RequestTTY force\n  ExitOnForwardFailure yes\n  ${forward}\n`,
    );
    const rsh = sshd.rsh.replace("-F none", `-F ${config}`);
    expect(await target(join(home, "far"), { rsh }).connect()).toBe(join(home, "far"));
  });

  it("takes of a new version what is new, by the index that it has of the old", async () => {
    const old = bytesOf(2, 6_000_000);
    const directory = join(home, "far");
    const first = target(directory);
    await push(writeOld(join(home, "v1.raw"), old), first);
    first.close();
    const fresh = Buffer.from(old);
    bytesOf(3, 400_000).copy(fresh, 2_000_000);
    const source = writeOld(join(home, "v2.raw"), fresh);
    // Another machine: it has nothing of the old version.
    const { digest, sentBytes } = await push(source, target(directory), {
      cacheDirectory: join(home, "other"),
    });
    expect(sentBytes).toBeLessThan(500_000);
    expect(held(directory, digest).equals(fresh)).toBe(true);
  });

  it("is gone on with when its far side is killed in the middle", async () => {
    const image = bytesOf(4, 12_000_000);
    const source = writeOld(join(home, "v1.raw"), image);
    const directory = join(home, "far");
    const to = target(directory);
    const context = listening();
    const capBps = 60_000_000;
    const pushing = push(source, to, { context, bandwidth: [{ capBps }], streams: { start: 2, max: 2 } });
    const fraction = () => context.said.at(-1)?.fraction ?? 0;
    const killed: number[] = [];
    for (const part of [0.25, 0.6]) {
      await until(() => fraction() > part, `${part} is there`);
      const { pid } = holder(directory) ?? { pid: 0 };
      killed.push(pid);
      process.kill(pid, "SIGKILL");
    }
    const { digest, sentBytes } = await pushing;
    expect(new Set(killed).size).toBe(2);
    expect(held(directory, digest).equals(image)).toBe(true);
    // Each time, what was on its way on each stream is sent again.
    expect(sentBytes).toBeLessThan(image.length + 1_000_000);
  });

  it("is gone on with by the next push when this one is stopped", async () => {
    const image = bytesOf(5, 12_000_000);
    const source = writeOld(join(home, "v1.raw"), image);
    const directory = join(home, "far");
    const stop = new AbortController();
    const context = listening(stop.signal);
    const first = target(directory);
    const pushing = push(source, first, { context, bandwidth: [{ capBps: 60_000_000 }] });
    const outcome = pushing.catch((error: Error) => error.name);
    await until(() => (context.said.at(-1)?.fraction ?? 0) > 0.25, "a part of it is there");
    stop.abort();
    expect(await outcome).toBe("AbortedError");
    first.close();
    const { digest, sentBytes } = await push(source, target(directory));
    expect(sentBytes).toBeLessThan(9_200_000);
    expect(held(directory, digest).equals(image)).toBe(true);
  });

  it.each<[string, () => SshTarget, RegExp, string]>([
    [
      "a wrong host key",
      () => target(home, { rsh: sshd.wrongHostRsh }),
      /verification failed/,
      "unauthorized",
    ],
    [
      "a key that may not",
      () => target(home, { rsh: sshd.strangersRsh }),
      /Permission denied/,
      "unauthorized",
    ],
    [
      "no Spillway there",
      () => target(home, { remoteCommand: "/no/such/spillway" }),
      /no `\/no\/such\/spillway`/,
      "invalid",
    ],
    ["no remote shell here", () => target(home, { rsh: "/no/such/ssh" }), /cannot be started/, "invalid"],
    [
      "another program there",
      () => target(home, { remoteCommand: "echo hello #" }),
      /it says "hello"/,
      "not-found",
    ],
    [
      "one that ends at once",
      () => target(home, { remoteCommand: "exit 3 #" }),
      /exit code 3/,
      "unreachable",
    ],
    ["a directory that cannot be made", () => target("/etc/passwd/images"), /not a directory/, "internal"],
  ])("says so at once when there is %s", async (_, make, problem, code) => {
    await expect(make().connect()).rejects.toMatchObject({
      code,
      report: {
        problem: expect.stringMatching(problem),
        mend: expect.stringMatching(/\w/),
        place: expect.any(String),
      },
    });
  });

  it("says so when nobody listens there", async () => {
    const address = { destination: "127.0.0.1", port: 1, directory: home };
    const nobody = new SshTarget(address, { rsh: sshd.rsh });
    await expect(nobody.connect()).rejects.toMatchObject({
      code: "unreachable",
      report: { problem: expect.stringMatching(/Connection refused/) },
    });
  });

  it("waits for nobody who says nothing when it is stopped", async () => {
    const silent = target(home, { remoteCommand: "cat >/dev/null #" });
    const startedAt = Date.now();
    await expect(silent.connect(AbortSignal.timeout(1_000))).rejects.toThrow("stopped");
    expect(Date.now() - startedAt).toBeLessThan(5_000);
  });

  it("shows what the far side says of itself", async () => {
    const said: string[] = [];
    const script = join(home, "noisy.sh");
    writeFileSync(script, `echo "a word of warning" >&2\nexec ${REMOTE_COMMAND} "$@"\n`);
    await target(join(home, "far"), {
      remoteCommand: `sh ${script}`,
      tell: (line) => said.push(line),
    }).connect();
    expect(said).toContain("a word of warning");
  });

  it("is the agent's alone while an agent works there", async () => {
    const lock = await DirectoryLock.take(home);
    await expect(target(join(home, "images")).connect()).rejects.toThrow(/images of a site's agent/);
    await lock.release();
  });
});
