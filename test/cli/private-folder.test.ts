import { spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { makePrivateFolder } from "../../cli/private-folder";
import { thisProcess } from "../../lib/process-identity";

let parent: string;
beforeEach(() => (parent = mkdtempSync(join(tmpdir(), "private-"))));
afterEach(() => rmSync(parent, { recursive: true, force: true }));

/** A process that has made a folder there and waits. */
async function another(): Promise<{ folder: string; kill: () => Promise<void> }> {
  const built = join(__dirname, "..", "..", "dist", "cli", "private-folder.js");
  const program = `require(${JSON.stringify(built)}).makePrivateFolder(${JSON.stringify(parent)}).then(console.log); setInterval(() => {}, 1000)`;
  const child = spawn(process.execPath, ["-e", program], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const folder = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once("line", resolve);
    child.once("exit", (code) => reject(new Error(`it ended with ${code}`)));
  });
  return { folder, kill: () => (child.kill("SIGKILL"), ended) };
}

test("only its owner can enter it", async () => {
  expect(statSync(await makePrivateFolder(parent)).mode & 0o777).toBe(0o700);
});

test("what a killed process left behind is removed by the next one, what a living one uses is not", async () => {
  const [killed, living] = await Promise.all([another(), another()]);
  try {
    writeFileSync(join(killed.folder, "terraform.rc"), "credentials");
    await killed.kill();
    const own = await makePrivateFolder(parent);
    expect(readdirSync(parent).sort()).toEqual(
      [own, living.folder].map((path) => path.slice(parent.length + 1)).sort(),
    );
  } finally {
    await living.kill();
  }
});

test.each([
  [
    "of another machine",
    async () => ({ ...(await thisProcess()), startTime: "gone", host: `not-${hostname()}` }),
  ],
  ["whose owner has not said yet who it is", async () => undefined],
  ["whose owner is told as something else", async () => ({ pid: "one" })],
])("a folder %s stays", async (_, owner) => {
  const folder = join(parent, "spillway-run-x");
  mkdirSync(folder);
  const said = await owner();
  if (said) writeFileSync(join(folder, "owner.json"), JSON.stringify(said));
  await makePrivateFolder(parent);
  expect(existsSync(folder)).toBe(true);
});

test("a link to a folder stays, and so does what it leads to", async () => {
  const elsewhere = join(parent, "elsewhere");
  mkdirSync(elsewhere);
  const gone = { ...(await thisProcess()), startTime: "gone", host: hostname() };
  writeFileSync(join(elsewhere, "owner.json"), JSON.stringify(gone));
  symlinkSync(elsewhere, join(parent, "spillway-run-link"));
  await makePrivateFolder(parent);
  expect(readdirSync(elsewhere)).toEqual(["owner.json"]);
  expect(existsSync(join(parent, "spillway-run-link"))).toBe(true);
});
