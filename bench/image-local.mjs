/**
 * Images on one machine: how fast one is indexed, and how fast a real agent takes it over loopback, cold and as a second version; the
 * memory of both ends. The image is 1 GB: half noise, a quarter text, a quarter zeros.
 */
import { createCipheriv } from "node:crypto";
import {
  closeSync,
  copyFileSync,
  mkdtempSync,
  openSync,
  rmSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { peakOf } from "./support/memory.mjs";
import { main, start } from "./support/run.mjs";

const built = createRequire(new URL("../dist/package.json", import.meta.url));
const { indexImage } = built("./lib/image");
const { clearSite } = built("./providers/local");

const PART = 16 * 1024 * 1024;
const PARTS = 64;
const IMAGE_BYTES = PART * PARTS;
const CHANGED_PLACES = 100;
const CHANGED_BYTES = 10_000;

/** @returns {Promise<{title: string, rows: {name: string, value: number, unit: string, goal?: string, met?: boolean}[]}>} */
export async function run() {
  const folder = mkdtempSync(join(tmpdir(), "spillway-bench-image-"));
  const stateDir = join(folder, "cloud");
  const tokenFile = join(folder, "token");
  const cache = join(folder, "cache");
  let agent;
  try {
    writeFileSync(tokenFile, "a-token-for-this-bench-only\n", { mode: 0o600 });
    const first = join(folder, "first.img");
    const second = join(folder, "second.img");
    writeImage(first);
    writeSecondVersion(first, second);

    const cold = await index(first, cache);
    const kept = await index(first, cache);

    agent = start("image-agent.mjs", stateDir, tokenFile);
    const endpoint = (await agent.lines.next()).value;
    const push = async (source) => {
      const { lines } = start("image-push.mjs", endpoint, tokenFile, source, cache);
      return JSON.parse((await lines.next()).value);
    };
    const whole = await push(first);
    const delta = await push(second);
    const nearMb = Math.max(whole.peakBytes, delta.peakBytes) / 1e6;
    const farMb = peakOf(agent.child.pid) / 1e6;
    const deltaMb = delta.sentBytes / 1e6;
    return {
      title: "Images over loopback (1.07 GB: half noise, a quarter text, a quarter zeros)",
      rows: [
        row("indexed, as this machine was", cold.megabytesPerSecond, "MB/s"),
        row(
          "indexed, for a second of CPU",
          cold.megabytesPerCpuSecond,
          "MB",
          ">= 300",
          cold.megabytesPerCpuSecond >= 300,
        ),
        row("indexed again, unchanged", kept.seconds * 1_000, "ms", "<= 500", kept.seconds <= 0.5),
        row("pushed cold", IMAGE_BYTES / 1e6 / whole.seconds, "MB/s"),
        row("pushed cold, segments", whole.sentBytes / 1e6, "MB"),
        row("pushed as a second version", delta.seconds, "s"),
        row(
          `the same, segments (1 MB of it is new, in ${CHANGED_PLACES} places)`,
          deltaMb,
          "MB",
          "<= 7",
          deltaMb <= 7,
        ),
        row("peak memory of the pushing end", nearMb, "MB", "< 400", nearMb < 400),
        row("peak memory of the agent", farMb, "MB", "< 250", farMb < 250),
      ],
    };
  } finally {
    agent?.child.kill();
    await clearSite(stateDir);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Reads and hashes an image; the file is in the page cache, so it is the processor that is measured. */
async function index(path, cacheDirectory) {
  const cpuBefore = process.cpuUsage();
  const started = performance.now();
  await indexImage({ source: path, cacheDirectory });
  const seconds = (performance.now() - started) / 1_000;
  const { user, system } = process.cpuUsage(cpuBefore);
  return {
    seconds,
    megabytesPerSecond: IMAGE_BYTES / 1e6 / seconds,
    megabytesPerCpuSecond: IMAGE_BYTES / (user + system),
  };
}

function writeImage(path) {
  const noise = createCipheriv("aes-128-ctr", Buffer.alloc(16, 1), Buffer.alloc(16));
  const file = openSync(path, "w");
  for (let part = 0; part < PARTS; part++) {
    const bytes = noise.update(Buffer.alloc(PART));
    if (part % 4 === 3) continue;
    const content = part % 4 === 1 ? Buffer.from(bytes.toString("hex", 0, PART / 2), "latin1") : bytes;
    writeSync(file, content, 0, PART, part * PART);
  }
  writeSync(file, Buffer.alloc(1), 0, 1, IMAGE_BYTES - 1);
  closeSync(file);
  makeOld(path);
}

function writeSecondVersion(first, second) {
  copyFileSync(first, second);
  const noise = createCipheriv("aes-128-ctr", Buffer.alloc(16, 2), Buffer.alloc(16));
  const file = openSync(second, "r+");
  for (let place = 0; place < CHANGED_PLACES; place++) {
    const at = Math.floor((IMAGE_BYTES / CHANGED_PLACES) * (place + 0.37));
    writeSync(file, noise.update(Buffer.alloc(CHANGED_BYTES)), 0, CHANGED_BYTES, at);
  }
  closeSync(file);
  makeOld(second);
}

/** An index of a file that was changed a moment ago is not kept. */
function makeOld(path) {
  const before = new Date(Date.now() - 60_000);
  utimesSync(path, before, before);
}

function row(name, value, unit, goal = "", met = true) {
  return { name, value: value < 10 ? Number(value.toFixed(2)) : Math.round(value), unit, goal, met };
}

await main(import.meta.url, run);
