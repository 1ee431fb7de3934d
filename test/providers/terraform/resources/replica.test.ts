import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { copyFileSync, renameSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pushImage } from "../../../../lib/image";
import type { Progress } from "../../../../lib/wait";
import { makeImage } from "../../../support/site";
import { BURST, burst, QUIET, sitesOf } from "./support/burst";
import { startLab, Workspace, type Lab } from "./support/lab";

let lab: Lab;

beforeAll(async () => {
  lab = await startLab();
}, 60_000);

afterAll(() => lab?.close());

function replica(source: string, changes: object = {}): object {
  return {
    terraform: { required_providers: { spillway: { source: "spillway/spillway" } } },
    provider: { spillway: { sites: sitesOf(lab) } },
    resource: { spillway_image_replica: { i: { site: "cloud", source, ...changes } } },
    output: { digest: { value: "${spillway_image_replica.i.digest}" } },
  };
}

async function isThere(digest: string): Promise<boolean> {
  return (await lab.cloud.client.image(digest))?.complete ?? false;
}

test("a replica is the image's content: neither its path nor its time makes another, and its loss here is only told", async () => {
  const work = await Workspace.of(lab, "content");
  const image = await makeImage({ dir: join(work.folder, "images"), seed: 11 });
  work.write("main.tf.json", replica(image.path));
  await work.apply();
  expect(await isThere(image.digest)).toBe(true);

  utimesSync(image.path, new Date(), new Date(Date.now() + 5_000));
  expect((await work.planCode()).text).toContain("No changes");

  copyFileSync(image.path, join(work.folder, "copy.img"));
  work.write("main.tf.json", replica("copy.img"));
  const moved = await work.planCode();
  expect(moved.text).toMatch(/will be updated in-place[\s\S]*~ source/);
  expect(moved.text).toMatch(/0 to add, 1 to change, 0 to destroy/);
  await work.apply();
  expect((await work.planCode()).text).toContain("No changes");

  renameSync(join(work.folder, "copy.img"), join(work.folder, "gone.img"));
  const gone = await work.planCode();
  expect(gone.text).toContain("No changes");
  expect(gone.text).toContain("The image's source cannot be compared with what the site holds");
}, 60_000);

test("a destroy keeps the seed, unless it is not to be retained", async () => {
  const work = await Workspace.of(lab, "retain");
  const image = await makeImage({ dir: join(work.folder, "images"), seed: 12 });
  work.write("main.tf.json", replica(image.path));
  await work.apply();
  await work.must("destroy", "-auto-approve", "-no-color");
  expect(await isThere(image.digest)).toBe(true);
  work.write("main.tf.json", replica(image.path, { retain: false, digest: image.digest }));
  await work.apply();
  await work.must("destroy", "-auto-approve", "-no-color");
  expect(await isThere(image.digest)).toBe(false);
}, 60_000);

test("an image that was deleted at the site is planned again", async () => {
  const work = await Workspace.of(lab, "deleted");
  const image = await makeImage({ dir: join(work.folder, "images"), seed: 13 });
  work.write("main.tf.json", replica(image.path));
  await work.apply();
  await lab.cloud.client.deleteImage(image.digest);
  expect((await work.planCode()).text).toContain("spillway_image_replica.i will be created");
  await work.apply();
  expect(await isThere(image.digest)).toBe(true);
}, 60_000);

test("two replicas that share content are planned and applied together, whichever comes first", async () => {
  const work = await Workspace.of(lab, "shared");
  const [one, two] = await Promise.all(
    ["a", "b"].map((version) =>
      makeImage({ dir: join(work.folder, version), seed: 14, version, bytes: 400_000 }),
    ),
  );
  work.write("main.tf.json", {
    ...replica(one!.path),
    resource: {
      spillway_image_replica: {
        i: { site: "cloud", source: one!.path },
        j: { site: "cloud", source: two!.path },
      },
    },
  });
  await work.apply();
  expect((await work.planCode()).text).toContain("No changes");
}, 60_000);

test("a saved plan is applied as it was shown, though the site has learned of other images since", async () => {
  const work = await Workspace.of(lab, "saved");
  const image = await makeImage({ dir: join(work.folder, "images"), seed: 15, version: "x", bytes: 400_000 });
  const alike = await makeImage({ dir: join(work.folder, "images"), seed: 15, version: "y", bytes: 400_000 });
  work.write("main.tf.json", replica(image.path));
  await work.must("plan", "-no-color", "-out=saved");
  const other = await Workspace.of(lab, "saved-other");
  other.write("main.tf.json", replica(alike.path));
  await other.apply();
  await work.must("apply", "-no-color", "saved");
  expect(await isThere(image.digest)).toBe(true);
}, 60_000);

test("a saved plan is applied as it was shown, though the image was brought there another way since", async () => {
  const work = await Workspace.of(lab, "saved-before");
  const image = await makeImage({ dir: join(work.folder, "images"), seed: 19, bytes: 400_000 });
  work.write("main.tf.json", replica(image.path));
  await work.must("plan", "-no-color", "-out=saved");
  const context = { signal: new AbortController().signal, progress: () => undefined };
  await pushImage({ source: image.path, target: lab.cloud.client, context });
  expect(await isThere(image.digest)).toBe(true);
  await work.must("apply", "-no-color", "saved");
  expect((await work.planCode()).text).toContain("No changes");
}, 60_000);

test("an image that was changed after the plan is refused by the apply", async () => {
  const work = await Workspace.of(lab, "changed");
  const image = await makeImage({ dir: join(work.folder, "images"), seed: 16 });
  const other = await makeImage({ dir: join(work.folder, "images"), seed: 17 });
  work.write("main.tf.json", replica(image.path));
  await work.must("plan", "-no-color", "-out=saved");
  copyFileSync(other.path, image.path);
  const { code, text } = await work.run("apply", "-no-color", "saved");
  expect(code).toBe(1);
  expect(text).toContain(other.digest);
  expect(await isThere(other.digest)).toBe(false);
}, 60_000);

test("progress of every step goes to the file that SPILLWAY_PROGRESS names", async () => {
  const work = await Workspace.of(lab, "progress");
  const ramp = { steps: [50], interval: "200ms" };
  work.write("main.tf.json", burst(lab, { record: { ramp } }));
  const file = join(work.folder, "progress.ndjson");
  process.env["SPILLWAY_PROGRESS"] = file;
  try {
    for (const desired of [QUIET, BURST, QUIET]) await work.apply(desired);
  } finally {
    delete process.env["SPILLWAY_PROGRESS"];
  }
  const lines = work
    .read("progress.ndjson")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Progress & { at: number });
  expect([...new Set(lines.map(({ step }) => step))].sort()).toEqual(
    ["admit", "direct", "launch", "quiesce", "take-down", "transfer"].sort(),
  );
  expect(lines.every(({ at, subject, message }) => at > 0 && subject !== "" && message !== "")).toBe(true);
  expect(lines.map(({ message }) => message)).toContain("answers onprem 75 %, cloud 25 %");
  await work.must("destroy", "-auto-approve", "-no-color", QUIET);
}, 60_000);

describe("what of an image counts", () => {
  /** A disk with a file system of 24 MiB, of which 8 MiB were used and are free again. */
  function disk(path: string): string {
    writeFileSync(path, "");
    truncateSync(path, 24 * 2 ** 20);
    execFileSync("mkfs.ext4", ["-q", "-F", "-E", "lazy_itable_init=0", path], { stdio: "ignore" });
    const content = `${path}.content`;
    writeFileSync(content, randomBytes(8 * 2 ** 20));
    for (const command of [`write ${content} file`, "rm file"]) {
      execFileSync("debugfs", ["-w", "-R", command, path], { stdio: "ignore" });
    }
    return path;
  }

  test("is what its file system uses, unless it is to be exact: the plan says both, and another answer is another replica", async () => {
    const work = await Workspace.of(lab, "in-use");
    const source = disk(join(work.folder, "disk.img"));
    work.write("main.tf.json", replica(source));
    const { text } = await work.planCode();
    expect(text).toMatch(/\+ total_bytes +\= 25165824/);
    const inUse = Number(/\+ in_use_bytes += (\d+)/.exec(text)?.[1]);
    expect(inUse).toBeGreaterThan(0);
    expect(inUse).toBeLessThan(8 * 2 ** 20);
    await work.apply();
    expect((await work.planCode()).text).toContain("No changes");
    work.write("main.tf.json", replica(source, { exact: true }));
    expect((await work.planCode()).text).toMatch(/digest .*# forces replacement/);
    await work.apply();
    expect((await work.planCode()).text).toContain("No changes");
  }, 60_000);
});

test("what a transfer may take of the link is changed in place, and slows the transfer and its plan", async () => {
  const work = await Workspace.of(lab, "bandwidth");
  const image = await makeImage({ dir: join(work.folder, "images"), seed: 18, bytes: 1_500_000 });
  work.write("main.tf.json", replica(image.path, { bandwidth: { cap: "4Mbit" } }));
  const planned = (await work.planCode()).text;
  expect(planned).toMatch(/\+ eta += "\d\.\d s"/);
  const started = Date.now();
  await work.apply();
  expect(Date.now() - started).toBeGreaterThan(1_000);
  work.write("main.tf.json", replica(image.path, { bandwidth: { windows: ["22:00-06:00 unlimited"] } }));
  expect((await work.planCode()).text).toMatch(/0 to add, 1 to change, 0 to destroy/);
  await work.apply();
  expect((await work.planCode()).text).toContain("No changes");
}, 60_000);

test("a rate, a window or a format that is none is refused with its attribute", async () => {
  const work = await Workspace.of(lab, "wrong");
  const bandwidth = { cap: "fast", windows: ["sometimes"], time_zone: "Mars/Base" };
  work.write("main.tf.json", replica("any.img", { bandwidth, format: "vmdk" }));
  const { code, text } = await work.run("plan", "-no-color");
  expect(code).toBe(1);
  for (const told of ["bandwidth.cap", "bandwidth.windows[0]", "bandwidth.time_zone", "format"]) {
    expect(text).toContain(`\`${told}\` must be`);
  }
}, 60_000);
