import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readLabInfo, type LabInfo } from "../../cli/lab/info";
import { pushImage } from "../../lib/image";
import { SiteDirectory } from "../../lib/site/client";
import { makeImage, type MadeImage } from "../support/image";
import {
  contentOf,
  onlyJson,
  processesAbout,
  refusal,
  spillway,
  startSpillway,
  type RunningSpillway,
} from "./support/spillway";

let images: string;
let image: MadeImage;
beforeAll(async () => {
  images = mkdtempSync(join(tmpdir(), "spillway-images-"));
  image = await makeImage({ dir: images });
});
afterAll(() => rmSync(images, { recursive: true, force: true }));

let dir: string;
let lab: string;
const running: RunningSpillway[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "spillway-labs-"));
  lab = join(dir, ".spillway");
  mkdirSync(lab);
  // An image that is there is not built anew.
  copyFileSync(image.path, join(lab, "shop.img"));
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((command) => command.stop("SIGKILL")));
  await spillway(["lab", "--down", "--dir", lab]);
  expect(processesAbout(dir)).toEqual([]);
  rmSync(dir, { recursive: true, force: true });
}, 30_000);

function start(...args: string[]): RunningSpillway {
  const command = startSpillway(["lab", "--json", ...args], { cwd: dir });
  running.push(command);
  return command;
}

async function up(...args: string[]): Promise<{ command: RunningSpillway; info: LabInfo }> {
  const command = start(...args);
  await command.until(/\n/);
  return { command, info: JSON.parse(command.stdout()) as LabInfo };
}

/** A pool with two members, as a stack would launch it. */
async function launch({ sites, port }: LabInfo): Promise<void> {
  const directory = new SiteDirectory(sites);
  const cloud = directory.get("cloud");
  const context = { signal: new AbortController().signal, progress: () => undefined };
  await pushImage({ source: image.path, target: cloud, context, cacheDirectory: join(dir, "cache") });
  await cloud.putPool("shop", {
    ...{ owner: "test", image: image.digest, members: 2 },
    listen: { address: sites.cloud.address, port, mode: "http" },
    monitor: { type: "http", path: "/", expectStatus: 200, intervalMs: 50, timeoutMs: 500, rise: 1, fall: 2 },
    ...{ affinity: "none", maxConnections: 0, sessionIdleMs: 300, environment: {} },
    ...{ launchTimeoutMs: 5_000, drainTimeoutMs: 5_000 },
  });
  const deadline = Date.now() + 15_000;
  while ((await cloud.traffic("shop"))?.membersUp !== 2) {
    if (Date.now() > deadline) throw new Error("the members did not come up");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  directory.close();
}

test("a lab is up, tells where in one object and in lab.json, and Ctrl-C leaves no process of it", async () => {
  const { command, info } = await up("--link-mbps", "50");
  expect(info).toMatchObject({
    ok: true,
    lab: { pid: command.child.pid },
    sites: { onprem: { address: "127.0.1.1" }, cloud: { address: "127.0.2.1" } },
    image: { path: join(lab, "shop.img") },
  });
  expect({ ok: true, ...readLabInfo(lab) }).toEqual(info);
  await launch(info);
  expect((await fetch(`http://127.0.2.1:${info.port}/`)).status).toBe(200);

  const status = await spillway(["status", "--json"], { cwd: dir });
  expect(status.code).toBe(0);
  expect(onlyJson(status)).toMatchObject({
    ok: true,
    hooks: {},
    sites: [
      { site: "cloud", context: { pools: [{ name: "shop", traffic: { members: 2, membersUp: 2 } }] } },
      { site: "onprem", context: { pools: [] } },
    ],
  });
  const { stdout } = await spillway(["status", "--dir", lab]);
  expect(stdout).toMatch(/^cloud {2}shop {2}ready {2}2 of 2 +\d+ +\d+ +\d+ ms/m);
  expect(stdout).toContain(`cloud: image ${image.digest.slice(0, 19)}… complete`);

  const ended = await command.stop("SIGINT");
  expect(ended.code).toBe(0);
  onlyJson(ended);
  expect(processesAbout(dir)).toEqual([]);
  expect(existsSync(join(lab, "lab.json"))).toBe(false);
}, 60_000);

test("a second lab in the same directory is refused, and so is --down while it runs; the first serves on", async () => {
  const { command, info } = await up();
  const runs = refusal(
    `a lab runs there already, as process ${command.child.pid}`,
    lab,
    expect.stringContaining("Ctrl-C"),
  );
  for (const more of [[], ["--down"]]) {
    const ended = await spillway(["lab", "--json", ...more], { cwd: dir });
    expect(ended.code).toBe(1);
    expect(onlyJson(ended)).toEqual(runs);
  }
  expect(readLabInfo(lab)).toMatchObject({ lab: info.lab });
  expect((await fetch(`${info.sites.cloud.endpoint}/v1/health`)).status).toBe(200);
  expect((await fetch(`${info.sites.onprem.endpoint}/v1/health`)).status).toBe(200);
}, 60_000);

test("of two labs that start in one directory at once, one is refused and the other serves", async () => {
  const both = [start(), start()];
  const [loser] = await Promise.race(both.map(async (command) => [command, await command.ended] as const));
  const winner = both.find((command) => command !== loser)!;
  await winner.until(/\n/);
  expect(JSON.parse(loser.stdout())).toEqual(
    refusal(`a lab runs there already, as process ${winner.child.pid}`),
  );
  const info = JSON.parse(winner.stdout()) as LabInfo;
  expect((await fetch(`${info.sites.cloud.endpoint}/v1/health`)).status).toBe(200);
  expect((await winner.stop()).code).toBe(0);
  expect(processesAbout(dir)).toEqual([]);
}, 60_000);

test("kill -9 leaves a lab running; status says what is reached; --down ends all of it, members too", async () => {
  const { command, info } = await up();
  await launch(info);
  await command.stop("SIGKILL");
  expect(processesAbout(dir).length).toBeGreaterThanOrEqual(6);

  // The link to the cloud was in the lab's own process.
  const status = await spillway(["status", "--json"], { cwd: dir });
  expect(status.code).toBe(1);
  expect(onlyJson(status)).toMatchObject({
    ok: false,
    sites: [
      {
        site: "cloud",
        problem: expect.stringContaining("nothing listens there"),
        mend: expect.stringContaining("spillway lab"),
      },
      { site: "onprem", context: {} },
    ],
  });

  const down = await spillway(["lab", "--down", "--json"], { cwd: dir });
  expect(down.code).toBe(0);
  expect(onlyJson(down)).toEqual({ ok: true, ended: true });
  expect(processesAbout(dir)).toEqual([]);
  expect(onlyJson(await spillway(["lab", "--down", "--json"], { cwd: dir }))).toEqual({
    ok: true,
    ended: false,
  });
}, 60_000);

test("a lab that was killed is cleared by the next one in its directory", async () => {
  const first = await up();
  await first.command.stop("SIGKILL");
  const second = await up();
  expect(second.info.lab.pid).not.toBe(first.info.lab.pid);
  // The token stays, for who has read it.
  expect(second.info.sites.cloud.tokenFile).toBe(first.info.sites.cloud.tokenFile);
  expect((await second.command.stop()).code).toBe(0);
  expect(processesAbout(dir)).toEqual([]);
}, 60_000);

test("a port that is taken at one of the two addresses is named, and nothing is begun", async () => {
  const holder = createServer().listen(0, "127.0.2.1");
  await new Promise((resolve) => holder.once("listening", resolve));
  const { port } = holder.address() as { port: number };
  rmSync(lab, { recursive: true });
  const ended = await spillway(["lab", "--json", "--port", String(port)], { cwd: dir });
  holder.close();
  expect(ended.code).toBe(1);
  expect(onlyJson(ended)).toEqual(
    refusal(
      expect.stringContaining("EADDRINUSE"),
      `127.0.2.1:${port}`,
      expect.stringContaining("Choose another with --port"),
    ),
  );
  expect(contentOf(dir)).toEqual({});
});

test("Ctrl-C while it starts leaves no process of it", async () => {
  const command = start();
  while (!existsSync(join(lab, "lab.json"))) await new Promise((resolve) => setTimeout(resolve, 5));
  expect((await command.stop("SIGINT")).code).toBe(0);
  expect(processesAbout(dir)).toEqual([]);
}, 60_000);

test.each(["SIGTERM", "SIGHUP"] as const)(
  "%s ends it as Ctrl-C does, also when nobody reads any more",
  async (signal) => {
    const { command } = await up();
    command.child.stdout?.destroy();
    command.child.stderr?.destroy();
    command.child.kill(signal);
    const code = await new Promise((resolve) => command.child.once("exit", resolve));
    expect(code).toBe(0);
    expect(processesAbout(dir)).toEqual([]);
  },
  60_000,
);

test("a lab.json that is none is named, not taken for a lab", async () => {
  writeFileSync(join(lab, "lab.json"), "{ half");
  for (const command of [["lab"], ["lab", "--down"], ["status"]]) {
    const ended = await spillway([...command, "--json"], { cwd: dir });
    expect(ended.code).toBe(1);
    expect(onlyJson(ended)).toEqual(
      refusal(expect.stringContaining("cannot be read as JSON"), join(lab, "lab.json")),
    );
  }
  expect(readFileSync(join(lab, "lab.json"), "utf8")).toBe("{ half");
  rmSync(join(lab, "lab.json"));
});
