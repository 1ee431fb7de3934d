import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { SpillwayError } from "../../../lib/errors";
import { type ProcessHandle, parseStat } from "../../../lib/process-identity";
import { etcOf } from "./network";
import { PATH } from "./requirements";
import type { LabState } from "./state";

const DEADLINE_MS = 10_000;
const PAUSE_MS = 20;

/**
 * Ends all that runs in a lab, by process id, and removes it. Nothing in it is asked: users that are still there are cut off. It
 * does not wait for the event loop, so that it can be done while a process ends. Idempotent.
 * @throws SpillwayError naming what could not be ended or removed
 */
export function tearDown(state: LabState): void {
  const namespaces = Object.values(state.namespaces);
  const deadline = Date.now() + DEADLINE_MS;
  for (;;) {
    // Whoever is ended last may have started somebody meanwhile: until there is nobody.
    const left = [
      ...namespaces.flatMap(pidsIn),
      ...Object.values(state.processes)
        .filter((handle) => isThere(handle))
        .map(({ pid }) => pid),
    ];
    if (left.length === 0) break;
    if (Date.now() > deadline) {
      throw new SpillwayError({
        place: state.dir,
        problem: `processes ${[...new Set(left)].join(", ")} are still there ${DEADLINE_MS / 1_000} s after SIGKILL`,
        mend: "See with ps what they hang in, then end the lab again.",
      });
    }
    for (const pid of new Set(left)) kill(pid);
    pause(PAUSE_MS);
  }
  for (const namespace of namespaces.filter(exists)) {
    const done = spawnSync("ip", ["netns", "del", namespace], {
      encoding: "utf8",
      env: { ...process.env, PATH },
    });
    if (done.status !== 0 && exists(namespace)) {
      throw new SpillwayError({
        place: namespace,
        problem: `the network namespace cannot be removed: ${done.error?.message ?? done.stderr.trim()}`,
        mend: "Run it as root.",
      });
    }
  }
  for (const namespace of namespaces) rmSync(etcOf(namespace), { recursive: true, force: true });
  rmSync(state.dir, { recursive: true, force: true });
}

/** Is it alive, and still the same process? */
export function isThere({ pid, startTime }: ProcessHandle): boolean {
  try {
    const now = parseStat(readFileSync(`/proc/${pid}/stat`, "utf8"));
    return now.startTime === startTime && now.state !== "Z" && now.state !== "X";
  } catch {
    return false;
  }
}

/** Whatever runs in a network namespace, also what has let go of the program that started it. */
export function pidsIn(namespace: string): number[] {
  if (!exists(namespace)) return [];
  const { dev, ino } = statSync(pathOf(namespace));
  const isIn = (pid: string) => {
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

function pathOf(namespace: string): string {
  return `/run/netns/${namespace}`;
}

function exists(namespace: string): boolean {
  return existsSync(pathOf(namespace));
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}

function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
