import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmdirSync, statSync } from "node:fs";
import { atEnd } from "./endings.mjs";

const SAMPLE_MS = 100;
const TICKS_PER_SECOND = 100;
const CLEAR_TRIES = 60;

/**
 * One end of the link: starts programs in its network namespace, and knows the CPU seconds and the memory of all of them and of
 * what they started in turn.
 */
export function openSide(namespace) {
  const group = openGroup(namespace);
  const meter = { peakBytes: 0, cpuTicks: new Map() };

  const clearAll = atEnd(() => clear(namespace, group));
  const pids = () => (group === undefined ? pidsIn(namespace) : group.pids());
  const sample = () => {
    let bytes = 0;
    for (const pid of pids()) {
      bytes += memoryOf(pid);
      if (group === undefined) noteTicks(meter.cpuTicks, pid);
    }
    meter.peakBytes = Math.max(meter.peakBytes, bytes);
  };
  const timer = setInterval(sample, SAMPLE_MS);
  const cpuSeconds = () =>
    group === undefined
      ? [...meter.cpuTicks.values()].reduce((sum, ticks) => sum + ticks, 0) / TICKS_PER_SECOND
      : group.cpuSeconds();
  let cpuBefore = 0;

  /** Starts a program here. It dies with the bench. */
  const start = (command, args, { env = {}, stdio = ["ignore", "pipe", "pipe"], cwd } = {}) => {
    const join = group === undefined ? "" : `echo $$ > '${group.path}/cgroup.procs'; `;
    const inside = `${join}exec nsenter --net=/run/netns/${namespace} setpriv --pdeathsig KILL "$@"`;
    const child = spawn("/bin/sh", ["-c", inside, "sh", command, ...args.map(String)], {
      stdio,
      cwd,
      env: { ...process.env, ...env },
    });
    return follow(child, command);
  };

  return {
    namespace,
    start,
    /** Runs a program to its end. @throws Error with what it said, when it fails */
    async run(command, args, options) {
      const program = start(command, args, options);
      await program.done;
      return program.output();
    },
    /** From here on CPU and memory count. */
    begin() {
      sample();
      cpuBefore = cpuSeconds();
      meter.peakBytes = 0;
      sample();
    },
    used() {
      sample();
      return { cpuS: cpuSeconds() - cpuBefore, rssMb: meter.peakBytes / 1e6 };
    },
    close() {
      clearInterval(timer);
      clearAll();
    },
  };
}

/** A started program: `done` rejects with what it printed last, when it ends otherwise than well. */
function follow(child, command) {
  let printed = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text) => (printed = `${printed}${text}`.slice(-20_000)));
  }
  let stopped = false;
  const done = (async () => {
    const [code, signal] = await once(child, "close");
    if (code === 0 || stopped) return;
    const end = printed.trim().split("\n").slice(-6).join("\n");
    throw new Error(`${command} ended with ${code ?? signal}: ${end}`);
  })();
  done.catch(() => undefined);
  return {
    child,
    done,
    output: () => printed,
    /** Waits until the program has printed something that matches. */
    async says(pattern) {
      for (;;) {
        const found = pattern.exec(printed);
        if (found) return found;
        await Promise.race([
          once(child.stdout, "data"),
          done.then(() => Promise.reject(new Error(`${command} ended early: ${printed}`))),
        ]);
      }
    },
    async stop(signal = "SIGTERM") {
      stopped = true;
      if (child.exitCode === null && child.signalCode === null) child.kill(signal);
      await done.catch(() => undefined);
    },
  };
}

/** A version 2 control group counts the CPU of what has already ended; undefined where none can be made. */
function openGroup(name) {
  const mount = readFileSync("/proc/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" "))
    .find(([, , type]) => type === "cgroup2")?.[1];
  const path = `${mount}/${name}`;
  try {
    mkdirSync(path);
  } catch {
    return undefined;
  }
  return {
    path,
    pids: () => readFileSync(`${path}/cgroup.procs`, "utf8").split("\n").filter(Boolean).map(Number),
    cpuSeconds: () => Number(/usage_usec (\d+)/.exec(readFileSync(`${path}/cpu.stat`, "utf8"))[1]) / 1e6,
  };
}

/** Memory that is the process's own (what is mapped from files is the page cache's). */
function memoryOf(pid) {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const kb = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0);
    return (kb("RssAnon") + kb("RssShmem")) * 1_024;
  } catch {
    return 0;
  }
}

function noteTicks(ticks, pid) {
  const stat = statOf(pid);
  if (stat !== undefined) ticks.set(`${pid} ${stat[19]}`, Number(stat[11]) + Number(stat[12]));
}

/** The fields of /proc/PID/stat from the state on. */
function statOf(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined;
  }
}

/** Whatever runs in a network namespace, also what has let go of the program that started it. */
function pidsIn(namespace) {
  const { dev, ino } = statSync(`/run/netns/${namespace}`);
  const isIn = (pid) => {
    try {
      const found = statSync(`/proc/${pid}/ns/net`);
      return found.ino === ino && found.dev === dev;
    } catch {
      return false;
    }
  };
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && isIn(name))
    .map(Number);
}

/** Ends whatever runs in a namespace, and removes what counted it; that is in use until the last thread is gone. */
function clear(namespace, group) {
  for (let tries = 1; ; tries++) {
    const left = pidsIn(namespace);
    for (const pid of left) kill(pid);
    try {
      if (group !== undefined && existsSync(group.path)) rmdirSync(group.path);
      if (left.length === 0) return;
    } catch (problem) {
      if (tries >= CLEAR_TRIES) throw problem;
    }
    if (tries >= CLEAR_TRIES) return;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
  }
}

function kill(pid) {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}
