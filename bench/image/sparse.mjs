/**
 * How long an image of 100 GB takes to be indexed, by how much of it is in use: `npm run build:fast && node bench/image/sparse.mjs`.
 *
 *   --in-use 1,5,10,20   GB; the image grows from one to the next
 *   --json               one object {rows: […]} instead of the table
 *   --work DIRECTORY     where the image goes: it takes as much as is in use. Default: the directory for temporary files
 *
 * The first run begins with nothing of the image in memory. "plain reading" is the same files, read by cat in the same way.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { fileURLToPath } from "node:url";
import { mb } from "./goals.mjs";
import { atEnd } from "./support/endings.mjs";
import { inPrivateMounts, requireRoot, requireTools } from "./support/host.mjs";

const IMAGE_BYTES = 100e9;
const GB = 1e9;
/** That much more than its images has to be free on the disk. */
const SPARE_BYTES = 2 * GB;

const { values } = parseArgs({
  options: {
    "in-use": { type: "string", default: "1,5,10,20" },
    json: { type: "boolean", default: false },
    work: { type: "string", default: tmpdir() },
  },
});

try {
  const rows = await run(values["in-use"].split(",").map(Number));
  if (values.json) process.stdout.write(`${JSON.stringify({ rows })}\n`);
  else process.stdout.write(`${rows.map(line).join("\n")}\n`);
} catch (problem) {
  process.stderr.write(`${problem.message}\n`);
  process.exitCode = 2;
}

async function run(steps) {
  if (steps.some((gigabytes, i) => !(gigabytes > (steps[i - 1] ?? 0)) || gigabytes > 90)) {
    throw new Error(`--in-use takes ascending numbers of GB up to 90, got ${values["in-use"]}`);
  }
  requireRoot("it mounts an image");
  requireTools(["mkfs.ext4", "mount", "unshare", "setpriv"]);
  const { bavail, bsize } = await statfs(values.work);
  const needed = steps.at(-1) * GB + SPARE_BYTES;
  if (bavail * bsize < needed) {
    throw new Error(
      `${values.work} has ${mb(bavail * bsize)} MB free, ${mb(needed)} are needed. Name another: --work`,
    );
  }
  const directory = mkdtempSync(join(values.work, "spillway-bench-"));
  atEnd(() => rmSync(directory, { recursive: true, force: true }));
  const mounted = (script) => inPrivateMounts(script, { directory, log: join(directory, "log") });
  const image = join(directory, "disk.raw");
  await mounted(`truncate -s ${IMAGE_BYTES} disk.raw; mkfs.ext4 -q -F disk.raw; mkdir root`);
  const mount = "mount -o loop,noatime disk.raw root";
  const fill = fileURLToPath(new URL("support/fill.mjs", import.meta.url));
  const rows = [];
  let filled = 0;
  for (const gigabytes of steps) {
    process.stderr.write(`${gigabytes} GB in use …\n`);
    await mounted(`${mount}; '${process.execPath}' '${fill}' root ${filled} ${gigabytes * 1e3}; umount root`);
    filled = gigabytes * 1e3;
    const plainS = await plainReading(image, mounted, mount);
    forget(image);
    const cache = join(directory, "cache");
    const first = await index(image, cache);
    const second = await index(image, cache);
    rows.push({
      inUseGb: gigabytes,
      seconds: first.seconds,
      mbPerS: Math.round(first.inUseBytes / 1e6 / first.seconds),
      cpuS: first.cpuS,
      rssMb: first.rssMb,
      plainReadingMbPerS: Math.round((gigabytes * 1e3) / plainS),
      unchangedSeconds: second.seconds,
      unchangedRssMb: second.rssMb,
      sameDigest: first.digest === second.digest,
    });
    rmSync(cache, { recursive: true });
  }
  return rows;
}

async function plainReading(image, mounted, mount) {
  forget(image);
  const started = performance.now();
  await mounted(`${mount.replace("noatime", "ro")}; cat root/*.data > /dev/null; umount root`);
  return (performance.now() - started) / 1_000;
}

/** Has the file written out and what is in memory of it dropped. */
function forget(path) {
  for (const options of [
    ["oflag=nocache", "conv=notrunc,fdatasync", `of=${path}`, "if=/dev/null"],
    [`if=${path}`, "iflag=nocache", "of=/dev/null"],
  ]) {
    const done = spawnSync("dd", [...options, "count=0", "status=none"], { encoding: "utf8" });
    if (done.status !== 0) throw new Error(`dd: ${done.stderr}`);
  }
}

async function index(image, cache) {
  const script = fileURLToPath(new URL("support/index.mjs", import.meta.url));
  const child = spawn(process.execPath, [script, image, cache], { stdio: ["ignore", "pipe", "inherit"] });
  const stop = atEnd(() => child.kill("SIGKILL"));
  let printed = "";
  child.stdout.on("data", (text) => (printed += text));
  const [code] = await once(child, "close");
  stop();
  if (code !== 0) throw new Error(`indexing ended with ${code}`);
  return JSON.parse(printed);
}

function line(row) {
  return (
    `${String(row.inUseGb).padStart(3)} GB in use: indexed in ${row.seconds} s (${row.mbPerS} MB/s; plain reading ` +
    `${row.plainReadingMbPerS} MB/s), ${row.cpuS} CPU s, ${row.rssMb} MB; unchanged: ${row.unchangedSeconds} s`
  );
}
