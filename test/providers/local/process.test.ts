import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type ProcessHandle,
  endProcess,
  isSameProcess,
  startDetached,
  thisProcess,
} from "../../../providers/local/process";
import { sleep } from "../../../lib/wait";

let dir: string;
const started: ProcessHandle[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "spillway-process-"));
});

afterEach(async () => {
  await Promise.all(started.splice(0).map((handle) => endProcess(handle, 0)));
  rmSync(dir, { recursive: true, force: true });
});

async function startNode(program: string, env: Record<string, string> = {}): Promise<ProcessHandle> {
  const handle = await startDetached({
    command: process.execPath,
    args: ["-e", program],
    env,
    cwd: dir,
    logFile: join(dir, "logs", "log"),
  });
  started.push(handle);
  return handle;
}

async function logHolds(text: string): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (
    !existsSync(join(dir, "logs", "log")) ||
    !readFileSync(join(dir, "logs", "log"), "utf8").includes(text)
  ) {
    if (Date.now() > deadline) throw new Error(`the log never said ${text}`);
    await sleep(10);
  }
}

function alive(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

test("a detached process is recognised by its id and its start time", async () => {
  const handle = await startNode("setInterval(()=>{},1000)");
  expect(await isSameProcess(handle)).toBe(true);
  expect(await isSameProcess({ ...handle, startTime: "another" })).toBe(false);
  await endProcess(handle, 2_000);
  expect(await isSameProcess(handle)).toBe(false);
});

test("ending is idempotent", async () => {
  const handle = await startNode("setInterval(()=>{},1000)");
  await Promise.all([endProcess(handle, 1_000), endProcess(handle, 1_000)]);
  await endProcess(handle, 1_000);
  expect(alive(handle.pid)).toBe(false);
});

test("a process whose start time differs is never ended", async () => {
  const handle = await startNode("setInterval(()=>{},1000)");
  await endProcess({ pid: handle.pid, startTime: "an older process" }, 0);
  await sleep(50);
  expect(alive(handle.pid)).toBe(true);
});

test("one that ignores SIGTERM gets SIGKILL after its grace", async () => {
  const handle = await startNode(
    "process.on('SIGTERM',()=>console.log('not yet'));console.log('up');setInterval(()=>{},1000)",
  );
  await logHolds("up");
  const before = Date.now();
  await endProcess(handle, 200);
  expect(alive(handle.pid)).toBe(false);
  expect(Date.now() - before).toBeGreaterThanOrEqual(190);
  expect(readFileSync(join(dir, "logs", "log"), "utf8")).toContain("not yet");
});

test("what it started itself goes with it", async () => {
  const handle = await startNode(
    "const c=require('child_process').spawn(process.execPath,['-e','process.on(\"SIGTERM\",()=>{});console.log(\"child up\");setInterval(()=>{},1000)'],{stdio:'inherit'});console.log('child '+c.pid);setInterval(()=>{},1000)",
  );
  await logHolds("child up");
  const childPid = Number(/child (\d+)/.exec(readFileSync(join(dir, "logs", "log"), "utf8"))?.[1]);
  expect(alive(childPid)).toBe(true);
  await endProcess(handle, 500);
  const deadline = Date.now() + 2_000;
  while (alive(childPid) && Date.now() < deadline) await sleep(10);
  expect(alive(childPid)).toBe(false);
});

test("secrets of this process's environment do not reach it", async () => {
  process.env.SPILLWAY_TOKEN = "a-secret-of-the-agent";
  try {
    await startNode("console.log(JSON.stringify(process.env)+'end')", { GIVEN: "yes" });
    await logHolds("end");
  } finally {
    delete process.env.SPILLWAY_TOKEN;
  }
  const log = readFileSync(join(dir, "logs", "log"), "utf8");
  expect(log).toContain('"GIVEN":"yes"');
  expect(log).not.toContain("a-secret-of-the-agent");
});

test("one that died is not alive, even as a zombie that nobody reaps", async () => {
  const handle = await startNode("process.exit(3)");
  const deadline = Date.now() + 5_000;
  while (await isSameProcess(handle)) {
    if (Date.now() > deadline) throw new Error("it is still thought to be alive");
    await sleep(10);
  }
});

test("a command that does not exist is named", async () => {
  await expect(
    startDetached({ command: join(dir, "nothing-here"), args: [], logFile: join(dir, "log") }),
  ).rejects.toThrow(/nothing-here` cannot be started: .*ENOENT/);
});

test("this process finds itself", async () => {
  expect(await isSameProcess(await thisProcess())).toBe(true);
});
