/**
 * What the image bench sends: two versions of a Debian server's disk and a disk that has nothing to do with them, 3 GiB each.
 *
 *   node bench/image/corpus.mjs [--corpus DIRECTORY]     builds it where it is not there yet, and prints what is in it
 *
 * It is made of packages, so it is never the same to the byte on two days; the random parts and the log are the same everywhere.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { atEnd } from "./support/endings.mjs";
import { figuresOf } from "./support/figures.mjs";
import { writeLog, writeNoise } from "./support/content.mjs";
import { inPrivateMounts, requireRoot, requireTools } from "./support/host.mjs";
import { packageSources } from "./support/mirror.mjs";
import { IMAGE_BYTES, RECIPE, first, second, unrelated } from "./support/recipes.mjs";

const RANDOM_BYTES = 100 * 2 ** 20;
const LOG_LINES = 700_000;
const MORE_LOG_LINES = 200_000;

/** Where the corpus is, by option, environment or the user's cache. */
export function corpusDirectory(option) {
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), ".cache");
  return resolve(option ?? process.env.SPILLWAY_BENCH_CORPUS ?? join(cache, "spillway", "bench-corpus"));
}

/**
 * The corpus in `directory`, which is built first when it is not there or was built by another recipe.
 * @returns {Promise<{first: string, second: string, unrelated: string, images: object[]}>} paths, and the figures of each image
 */
export async function corpus(directory, { say = (line) => process.stderr.write(`${line}\n`) } = {}) {
  if (recipeOf(directory) !== RECIPE) await build(directory, say);
  const { images } = JSON.parse(readFileSync(join(directory, "corpus.json"), "utf8"));
  const path = (name) => join(directory, name);
  return { first: path("v1.raw"), second: path("v2.raw"), unrelated: path("other.raw"), images };
}

function recipeOf(directory) {
  const description = join(directory, "corpus.json");
  return existsSync(description) ? JSON.parse(readFileSync(description, "utf8")).recipe : undefined;
}

async function build(directory, say) {
  requireRoot("building the corpus mounts images and runs debootstrap");
  requireTools(["debootstrap", "mkfs.ext4", "dumpe2fs", "e2image", "mount", "chroot", "unshare", "setpriv"]);
  const sources = packageSources();
  dropAbandonedDrafts(directory);
  const draft = `${directory}.draft-${process.pid}`;
  mkdirSync(draft, { recursive: true });
  let isForReading = false;
  atEnd(() => isForReading || rmSync(draft, { recursive: true, force: true }));
  try {
    say(`building the bench's disk images in ${directory}: 10 to 20 minutes and 8 GB, once`);
    writeNoise(join(draft, "random-1"), RANDOM_BYTES, 1);
    writeNoise(join(draft, "random-2"), RANDOM_BYTES, 2);
    writeNoise(join(draft, "random-3"), RANDOM_BYTES, 3);
    writeLog(join(draft, "log-1"), { lines: LOG_LINES, from: 0 });
    writeLog(join(draft, "log-2"), { lines: MORE_LOG_LINES, from: LOG_LINES });
    const steps = [
      ["v1.raw", first(sources)],
      ["v2.raw", second(sources)],
      ["other.raw", unrelated(sources)],
    ];
    for (const [name, script] of steps) {
      const started = Date.now();
      await inPrivateMounts(script, { directory: draft, log: join(draft, `${name}.log`) });
      say(`  ${name} in ${Math.round((Date.now() - started) / 1_000)} s`);
    }
    for (const name of readdirSync(draft)) if (/^(random|log)-/.test(name)) rmSync(join(draft, name));
    const images = [];
    for (const [name] of steps) images.push(await figuresOf(name, join(draft, name)));
    writeFileSync(
      join(draft, "corpus.json"),
      `${JSON.stringify({ recipe: RECIPE, imageBytes: IMAGE_BYTES, images }, null, 2)}\n`,
    );
    rmSync(directory, { recursive: true, force: true });
    renameSync(draft, directory);
  } catch (problem) {
    isForReading = true;
    if (existsSync(draft))
      problem.message += `\nWhat was made so far, and its logs, are in ${draft}; the next build removes them.`;
    throw problem;
  }
}

/** A builder that was killed leaves its draft; one that still runs keeps its own. */
function dropAbandonedDrafts(directory) {
  const parent = resolve(directory, "..");
  mkdirSync(parent, { recursive: true });
  const prefix = `${directory.slice(parent.length + 1)}.draft-`;
  for (const name of readdirSync(parent)) {
    if (!name.startsWith(prefix)) continue;
    if (!existsSync(`/proc/${name.slice(prefix.length)}`))
      rmSync(join(parent, name), { recursive: true, force: true });
  }
}

/** The corpus as a table. */
export function corpusTable(images) {
  const columns = ["image", "size MB", "allocated MB", "non-zero 4K MB", "in use MB"];
  const mb = (bytes) => (bytes / 1e6).toFixed(1);
  const lines = images.map((image) => [
    image.name,
    mb(image.sizeBytes),
    mb(image.allocatedBytes),
    mb(image.nonZeroBytes),
    mb(image.inUseBytes),
  ]);
  return [columns, ...lines].map((line) => line.map((cell) => cell.padStart(15)).join("")).join("\n");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const option = process.argv.indexOf("--corpus");
  const directory = corpusDirectory(option > 0 ? process.argv[option + 1] : undefined);
  try {
    const { images } = await corpus(directory);
    console.log(`${directory}\n${corpusTable(images)}`);
  } catch (problem) {
    console.error(problem.message);
    process.exitCode = 1;
  }
}
