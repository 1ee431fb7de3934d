import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pushImage } from "../../../../lib/image/near";
import { SshTarget } from "../../../../lib/image/targets";
import { canForward, NoForwarding, openForwarded } from "../../../../lib/image/targets/ssh/forward";
import { MOST_PROCESSES } from "../../../../lib/image/targets/ssh/target";
import { readFrames, writeFrame } from "../../../../lib/image/targets/stdio/frames";
import { ANSWER_LIMITS } from "../../../../lib/image/targets/stdio/protocol";
import { sleep } from "../../../../lib/wait";
import { startSpillway } from "../../../cli/support/spillway";
import { bytesOf, listening, writeOld } from "../support/images";
import { describeWithSshd, REMOTE_COMMAND, startSshd, type Sshd } from "./support/sshd";
import { fetchedIndex } from "../support/fetched-index";

const NOBODYS = `sha256:${"0".repeat(64)}`;
let home: string;
const opened: SshTarget[] = [];

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "spillway-ssh-"));
  mkdirSync(join(home, "t"));
  const script = `echo $$ >>'${home}/started'\nTMPDIR='${home}/t' exec ${REMOTE_COMMAND} "$@"\n`;
  writeFileSync(join(home, "far.sh"), script);
});
afterEach(async () => {
  for (const one of opened.splice(0)) one.close();
  if (existsSync(join(home, "started"))) await until(() => !started().some(isAlive), "the far side ends");
  // What is removed there is removed by another process.
  rmSync(home, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
});

/** A far side that notes each of its processes, and has directories for temporary files of its own. */
const far = () => ({ directory: join(home, "far"), remoteCommand: `sh ${home}/far.sh` });
const started = () => readFileSync(join(home, "started"), "utf8").trim().split("\n").map(Number);
const temporary = () => readdirSync(join(home, "t"));

function target(sshd: Sshd, tell?: (line: string) => void): SshTarget {
  const { directory, remoteCommand } = far();
  const made = new SshTarget(
    { destination: `${sshd.user}@127.0.0.1`, port: sshd.port, directory },
    { rsh: sshd.rsh, remoteCommand, tell },
  );
  opened.push(made);
  return made;
}

/** So many at once that each has a line of its own. */
async function askAtOnce(of: SshTarget, calls: number): Promise<void> {
  const answers = await Promise.all(Array.from({ length: calls }, () => fetchedIndex(of, NOBODYS)));
  expect(answers).toEqual(Array.from({ length: calls }, () => undefined));
}

async function until(condition: () => boolean, what: string): Promise<void> {
  for (let i = 0; !condition(); i++) {
    if (i > 400) throw new Error(`never: ${what}`);
    await sleep(25);
  }
}

/** The ssh processes of this side. */
function shells(sshd: Sshd): readonly { readonly pid: number; readonly args: string }[] {
  const key = /-i (\S+)/.exec(sshd.rsh)?.[1] ?? "no key";
  return execFileSync("ps", ["-eo", "pid=,args="], { encoding: "utf8" })
    .split("\n")
    .flatMap((line) => {
      const [, pid, args] = /^ *(\d+) (ssh .*)$/.exec(line) ?? [];
      return args?.includes(key) ? [{ pid: Number(pid), args }] : [];
    });
}

/** The far side's socket, where streams come in. */
function socketPath(): string {
  const [directory, ...others] = temporary();
  expect([directory, others]).toEqual([expect.stringMatching(/^spillway-streams-/), []]);
  const [name] = readdirSync(join(home, "t", directory));
  return join(home, "t", directory, name);
}

/** What the far side's socket says to who begins so. */
async function saidTo(join: unknown): Promise<unknown> {
  const socket = createConnection(socketPath());
  try {
    await writeFrame(socket, join);
    const first = await readFrames(socket, ANSWER_LIMITS).next();
    return first.value?.head;
  } finally {
    socket.destroy();
  }
}

describeWithSshd("streams over ssh", () => {
  let sshd: Sshd;
  beforeAll(async () => {
    sshd = await startSshd();
  });
  afterAll(() => sshd.stop());

  it("are connections of their own, and one process there", async () => {
    const to = target(sshd);
    await to.connect();
    const before = sshd.logins();
    await askAtOnce(to, 12);
    expect(sshd.logins() - before).toBe(11);
    expect(started()).toHaveLength(1);
  });

  it("bring an image, also when nobody connected before", async () => {
    const image = bytesOf(21, 9_000_000);
    const source = writeOld(join(home, "v1.raw"), image);
    const to = target(sshd);
    const context = listening();
    const cacheDirectory = join(home, "cache");
    const pushed = { source, target: to, context, cacheDirectory, streams: { start: 6, max: 6 } };
    const { digest } = await pushImage(pushed);
    expect(readFileSync(join(home, "far", `${digest.slice(7)}.img`)).equals(image)).toBe(true);
    expect(started()).toHaveLength(1);
  });

  it("come in at a socket that is its user's alone, and gone with the last connection", async () => {
    const to = target(sshd);
    await askAtOnce(to, 3);
    const socket = socketPath();
    expect(statSync(join(socket, "..")).mode & 0o777).toBe(0o700);
    expect(statSync(socket).mode & 0o777).toBe(0o600);
    expect(socket).toMatch(/\/[0-9a-f]{32}$/);
    to.close();
    await until(() => temporary().length === 0, "the socket's directory is removed");
  });

  it("are none of a stranger's: who names no session is told nothing", async () => {
    await target(sshd).connect();
    const refused = { ok: false, problem: expect.objectContaining({ code: "unreachable" }) };
    expect(await saidTo({ join: "0".repeat(64) })).toEqual(refused);
    expect(await saidTo({ join: ["x"] })).toEqual(refused);
    expect(await saidTo(null)).toEqual(refused);
    expect(await saidTo({ ask: "index", digest: NOBODYS })).toEqual(refused);
  });

  it("of a session can be begun by nobody when its connection has ended", async () => {
    const { directory, remoteCommand } = far();
    const address = { destination: `${sshd.user}@127.0.0.1`, port: sshd.port, directory };
    const other = target(sshd);
    await other.connect();
    const first = target(sshd);
    await first.connect();
    const offer = (first as unknown as { first: { hello: { streams: { socket: string; session: string } } } })
      .first.hello.streams;
    const join = () => openForwarded(address, { rsh: sshd.rsh, remoteCommand }, offer, 10_000);
    const line = await join();
    first.close();
    await until(() => started().filter(isAlive).length === 1, "its process ends");
    // One that runs goes on.
    expect(await line.ask({ ask: "index", digest: NOBODYS }, undefined)).toBe(false);
    line.close();
    await expect(join()).rejects.toMatchObject({ code: "unreachable" });
  });

  it("leave nothing when the process there is killed, and are opened anew", async () => {
    const to = target(sshd);
    await askAtOnce(to, 4);
    const socket = socketPath();
    process.kill(started()[0], "SIGKILL");
    await until(() => !existsSync(join(socket, "..")), "the socket's directory is removed");
    await until(() => !isAlive(started()[0]), "it is gone");
    await askAtOnce(to, 1).catch(() => undefined);
    await askAtOnce(to, 5);
    expect(started()).toHaveLength(2);
    expect(socketPath()).not.toBe(socket);
  });

  it.each<[string, (args: string) => boolean, number]>([
    ["a stream's connection is cut", (args) => args.includes(" -L "), 1],
    ["the first connection is cut, and the others' are not", (args) => !args.includes(" -L "), 2],
  ])("go on when %s", async (_, isMeant, processes) => {
    const image = bytesOf(24, 12_000_000);
    const source = writeOld(join(home, "v1.raw"), image);
    const to = target(sshd);
    const bandwidth = [{ capBps: 40_000_000 }];
    const pushed = {
      source,
      target: to,
      context: listening(),
      cacheDirectory: join(home, "cache"),
      bandwidth,
    };
    const pushing = pushImage({ ...pushed, streams: { start: 4, max: 4 } });
    const meant = () => shells(sshd).filter(({ args }) => isMeant(args));
    await until(() => shells(sshd).length === 4 && pushed.context.said.length > 0, "all streams are there");
    await sleep(300);
    process.kill(meant()[0].pid, "SIGKILL");
    const { digest, sentBytes } = await pushing;
    expect(readFileSync(join(home, "far", `${digest.slice(7)}.img`)).equals(image)).toBe(true);
    // What was on its way on one stream.
    expect(sentBytes).toBeLessThan(image.length + 4_300_000);
    await askAtOnce(to, 5);
    expect(started()).toHaveLength(processes);
  });

  it("end with their near side, also when that is killed", async () => {
    writeOld(join(home, "v1.raw"), bytesOf(22, 30_000_000));
    const { directory, remoteCommand } = far();
    const to = `ssh://${sshd.user}@127.0.0.1:${sshd.port}${directory}`;
    const before = sshd.logins();
    const shell = ["--rsh", sshd.rsh, "--remote-command", remoteCommand];
    const push = ["image", "push", "v1.raw", to, ...shell, "--cap", "8Mbit", "--streams", "4"];
    const near = join(home, "near");
    mkdirSync(near);
    const env = { XDG_CACHE_HOME: join(home, "cache"), XDG_CONFIG_HOME: join(home, "config"), TMPDIR: near };
    const pushing = startSpillway(push, { cwd: home, env });
    await until(() => sshd.logins() - before === 4, "all streams are there");
    await pushing.stop("SIGKILL");
    await until(() => shells(sshd).length === 0, "ssh ends");
    await until(() => !isAlive(started()[0]) && temporary().length === 0, "the far side ends");
    await until(() => readdirSync(near).length === 0, "nothing is left of the streams here");
  });

  it("are not forwarded where ssh's user or another remote shell would have more, or none, forwarded", async () => {
    const address = { destination: "127.0.0.1", directory: home };
    const config = (text: string) => {
      writeFileSync(join(home, "config"), `Host *\n  ${text}\n`);
      return { rsh: `ssh -F ${home}/config` };
    };
    expect(await canForward(address, config("Compression yes"))).toBe(true);
    for (const own of ["LocalForward 127.0.0.1:9 host:9", "RemoteForward 9 host:9", "DynamicForward 9"])
      expect(await canForward(address, config(own))).toBe(false);
    expect(await canForward(address, { rsh: "kubectl-sh -q" })).toBe(false);
    expect(await canForward(address, { rsh: "/no/such/ssh" })).toBe(false);
    for (const socket of [
      "/a:/b",
      "relative",
      "/tmp/%h",
      "/tmp/${HOME}",
      "[::1]:22",
      "-oProxyCommand=x",
      "",
      5,
      null,
    ]) {
      const offer = { socket: socket as string, session: "x" };
      await expect(openForwarded(address, {}, offer, 1_000)).rejects.toBeInstanceOf(NoForwarding);
    }
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

for (const setting of ["AllowStreamLocalForwarding no", "DisableForwarding yes"]) {
  describeWithSshd(`streams over ssh, where the far side says "${setting}"`, () => {
    let sshd: Sshd;
    beforeAll(async () => {
      sshd = await startSshd([setting]);
    });
    afterAll(() => sshd.stop());

    it("are processes there, and no more than a few, however many are wanted", async () => {
      const said: string[] = [];
      const to = target(sshd, (line) => said.push(line));
      await askAtOnce(to, 12);
      expect(said).toEqual([expect.stringMatching(`at most ${MOST_PROCESSES} streams`)]);
      expect(started().length).toBeGreaterThan(1);
      expect(started().length).toBeLessThanOrEqual(MOST_PROCESSES);
      const image = bytesOf(23, 9_000_000);
      const source = writeOld(join(home, "v1.raw"), image);
      const pushed = { source, target: to, context: listening(), cacheDirectory: join(home, "cache") };
      const { digest } = await pushImage({ ...pushed, streams: { start: 16, max: 16 } });
      expect(readFileSync(join(home, "far", `${digest.slice(7)}.img`)).equals(image)).toBe(true);
      expect(started().length).toBeLessThanOrEqual(MOST_PROCESSES);
    });
  });
}
