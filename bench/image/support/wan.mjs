import { spawn, spawnSync } from "node:child_process";
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
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { atEnd } from "./endings.mjs";

const ALLOWED = "/proc/sys/net/ipv4/tcp_allowed_congestion_control";
const AVAILABLE = "/proc/sys/net/ipv4/tcp_available_congestion_control";
const CONGESTION_CONTROL = "cubic";
const PREFIX = "spwbench";
const SAMPLE_MS = 500;
export const NEAR_ADDRESS = "10.99.0.1";
export const FAR_ADDRESS = "10.99.0.2";

/** The emulator, compiled; it and everything that the host was changed by is gone when the bench ends, however it does. */
export function prepareLinks() {
  const folder = mkdtempSync(join(tmpdir(), "spillway-bench-wan-"));
  atEnd(() => rmSync(folder, { recursive: true, force: true }));
  dropAbandonedNamespaces();
  allowCongestionControl();
  const program = join(folder, "wanlink");
  const source = fileURLToPath(new URL("../wanlink.c", import.meta.url));
  const compiled = spawnSync("gcc", ["-O2", "-Wall", "-o", program, source], { encoding: "utf8" });
  if (compiled.status !== 0) throw new Error(`gcc could not compile ${source}: ${compiled.stderr}`);
  return program;
}

let opened = 0;

/**
 * A link between two network namespaces made for it: side A is near, side B far.
 * @param {{rate: string, delayMs: number, lossPercent: number}} line RTT is twice the delay
 */
export async function openLink(program, { rate, delayMs, lossPercent }) {
  const names = ["a", "b"].map((side) => `${PREFIX}-${process.pid}-${++opened}${side}`);
  const [near, far] = names;
  const dropNamespaces = atEnd(() => names.forEach((name) => ip("netns", "del", name)));
  for (const name of names) must(ip("netns", "add", name));
  for (const name of names) setCongestionControl(name);
  const options = ["-A", near, "-B", far, "-r", rate, "-d", `${delayMs}`, "-l", `${lossPercent}`, "-t"];
  const child = spawn("setpriv", ["--pdeathsig", "KILL", program, ...options], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const { value: ready } = await lines.next();
  if (!ready?.startsWith("ready")) throw new Error(`the link emulator did not start: ${ready}`);
  const bytesPerSecond = Number(/rate=(\d+)/.exec(ready)[1]) / 8;

  let asking = Promise.resolve();
  /** Counters of both directions since the last reset. */
  const counters = () => {
    asking = asking.then(async () => {
      child.kill("SIGUSR1");
      return JSON.parse((await lines.next()).value);
    });
    return asking;
  };
  return {
    near,
    far,
    bytesPerSecond,
    counters,
    reset: () => child.kill("SIGHUP"),
    /** Begins or ends an outage: nothing passes in either direction. */
    toggleOutage: () => child.kill("SIGUSR2"),
    async close() {
      await asking;
      child.kill("SIGTERM");
      await ended;
      dropNamespaces();
    },
  };
}

/** Notes how much the link has carried near to far, every half second, until it is stopped. */
export function watchLink(link) {
  const started = performance.now();
  const samples = [{ seconds: 0, carried: 0 }];
  let timer;
  const sample = async () => {
    const { AtoB } = await link.counters();
    samples.push({ seconds: (performance.now() - started) / 1_000, carried: AtoB.deliveredBytes });
  };
  const next = () => (timer = setTimeout(() => sample().then(next), SAMPLE_MS));
  next();
  return async () => {
    clearTimeout(timer);
    await sample();
    clearTimeout(timer);
    return samples;
  };
}

/** What share of the link was used from the third second on; undefined where there was none. */
export function busyShare(samples, bytesPerSecond) {
  const from = samples.find(({ seconds }) => seconds >= 3);
  const last = samples.at(-1);
  if (from === undefined || last.seconds - from.seconds < 1) return undefined;
  return (last.carried - from.carried) / (last.seconds - from.seconds) / bytesPerSecond;
}

function setCongestionControl(namespace) {
  const values = [
    ["tcp_congestion_control", CONGESTION_CONTROL],
    // What one run learned about the link is not to help or harm the next.
    ["tcp_no_metrics_save", "1"],
  ];
  for (const [name, value] of values) {
    const script = `echo ${value} > /proc/sys/net/ipv4/${name}`;
    must(spawnSync("nsenter", [`--net=/run/netns/${namespace}`, "sh", "-c", script], { encoding: "utf8" }));
  }
}

/** Namespaces may only use what the host allows everybody; what it allowed before is put back at the end. */
function allowCongestionControl() {
  const before = readFileSync(ALLOWED, "utf8").trim();
  if (before.split(" ").includes(CONGESTION_CONTROL)) return;
  if (!readFileSync(AVAILABLE, "utf8").split(/\s+/).includes(CONGESTION_CONTROL)) {
    throw new Error(
      `This kernel has no TCP congestion control "${CONGESTION_CONTROL}". Load it: modprobe tcp_cubic`,
    );
  }
  writeFileSync(ALLOWED, `${before} ${CONGESTION_CONTROL}`);
  atEnd(() => writeFileSync(ALLOWED, before));
}

/** A bench that was killed outright could not take its namespaces with it. */
function dropAbandonedNamespaces() {
  mkdirSync("/run/netns", { recursive: true });
  for (const name of readdirSync("/run/netns")) {
    const [prefix, pid] = name.split("-");
    if (prefix === PREFIX && !existsSync(`/proc/${pid}`)) ip("netns", "del", name);
  }
}

function ip(...args) {
  return spawnSync("ip", args, { encoding: "utf8" });
}

function must(done) {
  if (done.status !== 0) throw new Error(`${done.error?.message ?? done.stderr}`.trim());
}
