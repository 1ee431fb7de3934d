import { execFileSync, spawn, spawnSync, type ChildProcess } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Client, credentials, type ChannelCredentials } from "@grpc/grpc-js";
import { PROCEDURES } from "../../../../providers/terraform/plugin/protocol/messages";
import {
  localhostCertificate,
  type Certificate,
} from "../../../../providers/terraform/plugin/serve/certificate";
import { providerMirror, type ProviderMirror } from "./support/provider-mirror";
import { Workspace } from "./support/terraform";

let mirror: ProviderMirror;
const workspaces: Workspace[] = [];

beforeAll(() => {
  mirror = providerMirror({
    entry: join(__dirname, "support", "shop-main.ts"),
    source: "test/shop",
    version: "1.2.3",
  });
});
afterAll(() => mirror.remove());
afterEach(() => {
  for (const workspace of workspaces.splice(0)) workspace.remove();
});

/** A workspace with directories for temporary files of its own, so that what a provider leaves behind is seen. */
async function initialised(body: string, environment: Record<string, string> = {}): Promise<Workspace> {
  const workspace = new Workspace({ TF_CLI_CONFIG_FILE: mirror.cliConfig, ...environment });
  workspaces.push(workspace);
  workspace.write(body);
  await workspace.ok("init");
  return workspace;
}

async function until(what: string, condition: () => boolean): Promise<void> {
  for (const started = Date.now(); !condition();) {
    if (Date.now() - started > 20_000) throw new Error(`waited too long until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** The processes of the shop that run in a workspace. */
function providersOf(workspace: Workspace): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, "utf8");
        const directory = execFileSync("readlink", [`/proc/${pid}/cwd`], { encoding: "utf8" }).trim();
        return command.includes("terraform-provider-shop") && directory === workspace.directory;
      } catch {
        return false;
      }
    });
}

const SERVER = `resource "shop_server" "a" {\n  name = "a"\n}`;
const HANGING = `resource "shop_server" "a" {\n  name = "a"\n  behave = "hang"\n}`;

test("a provider is installed from a mirror, and a whole life passes through it, over TLS", async () => {
  const w = await initialised(SERVER);
  expect(readFileSync(join(w.directory, ".terraform.lock.hcl"), "utf8")).toContain("h1:");
  await w.apply();
  expect(await w.planExit()).toBe(0);
  w.write(SERVER.replace(`"a"\n}`, `"a"\n  size = 2\n}`));
  await w.apply();
  await w.ok("destroy", "-auto-approve");
  expect(readdirSync(w.store)).toEqual([]);
  expect(providersOf(w)).toEqual([]);
});

test("it works without TLS too, and leaves no temporary files", async () => {
  const w = await initialised(SERVER, { TF_DISABLE_PLUGIN_TLS: "1" });
  const temporary = join(w.directory, "tmp");
  mkdirSync(temporary);
  const inside = new Workspace({
    TF_CLI_CONFIG_FILE: mirror.cliConfig,
    TF_DISABLE_PLUGIN_TLS: "1",
    TMPDIR: temporary,
  });
  workspaces.push(inside);
  inside.write(SERVER);
  await inside.ok("init");
  await inside.apply();
  expect(inside.attributes("shop_server").id).toBe("s-a");
  expect(readdirSync(temporary)).toEqual([]);
});

test("a path too long for a socket gives way to a port", async () => {
  const w = await initialised(SERVER);
  const long = join(w.directory, "t".repeat(90));
  mkdirSync(long);
  const inside = new Workspace({ TF_CLI_CONFIG_FILE: mirror.cliConfig, TMPDIR: long });
  workspaces.push(inside);
  inside.write(SERVER);
  await inside.ok("init");
  await inside.apply();
  expect(inside.attributes("shop_server").id).toBe("s-a");
});

test("it is at home in a project of ECMAScript modules", async () => {
  const w = await initialised(SERVER);
  const copied = join(w.directory, "copied");
  mkdirSync(copied);
  writeFileSync(join(w.directory, "package.json"), `{ "type": "module" }`);
  const copy = join(copied, "terraform-provider-shop_v1.2.3");
  execFileSync("cp", [mirror.executable, copy]);
  expect(spawnSync(copy, { encoding: "utf8" }).stderr).toContain("This is the Terraform provider shop 1.2.3");
});

test("Ctrl-C in the middle of an apply stops the operation, and its state is what the handler says", async () => {
  const w = await initialised(HANGING);
  const { process: terraform, done } = w.start("apply", "-auto-approve", "-no-color");
  await until("the create hangs", () => existsSync(join(w.store, "hanging.json")));
  const stopped = Date.now();
  terraform.kill("SIGINT");
  const run = await done;
  expect(run.code).toBe(1);
  expect(Date.now() - stopped).toBeLessThan(5_000);
  expect(run.text).toContain("Stopped: ");
  expect(w.state().resources).toEqual([]);
  expect(providersOf(w)).toEqual([]);
});

test("Ctrl-C that reaches the provider as well, as it does in a terminal, changes nothing about that", async () => {
  const w = await initialised(`resource "shop_server" "a" {\n  name = "a"\n  note = "slow"\n}`);
  await w.apply();
  const child = spawn("terraform", ["destroy", "-auto-approve", "-no-color"], {
    cwd: w.directory,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env.PATH, HOME: w.directory, TF_CLI_CONFIG_FILE: mirror.cliConfig },
  });
  let output = "";
  child.stdout.on("data", (data: Buffer) => (output += data.toString()));
  child.stderr.on("data", (data: Buffer) => (output += data.toString()));
  const ended = new Promise((resolve) => child.once("close", resolve));
  await until("the destroy hangs", () => existsSync(join(w.store, "hanging.json")));
  process.kill(-child.pid!, "SIGINT");
  expect(await ended).toBe(1);
  expect(output).toContain("Stopped: ");
  expect(w.attributes("shop_server")).toMatchObject({ id: "s-a", note: "slow" });
});

test("a crash is reported by its cause", async () => {
  const w = await initialised(`resource "shop_server" "a" {\n  name = "a"\n  behave = "crash"\n}`);
  const run = await w.run("apply", "-auto-approve");
  expect(run.code).toBe(1);
  expect(run.text).toContain("Stack trace from the terraform-provider-shop_v1.2.3 plugin");
  expect(run.text).toContain("panic: RangeError: the shop burnt down");
});

test("a provider does not outlive a Terraform that was killed", async () => {
  const w = await initialised(HANGING);
  const { process: terraform, done } = w.start("apply", "-auto-approve");
  await until("the create hangs", () => existsSync(join(w.store, "hanging.json")));
  expect(providersOf(w)).toHaveLength(1);
  terraform.kill("SIGKILL");
  await done;
  await until("the provider has gone", () => providersOf(w).length === 0);
});

test("log lines of handlers reach Terraform's log at their level", async () => {
  const w = await initialised(SERVER, { TF_LOG_PROVIDER: "INFO" });
  const run = await w.apply();
  expect(run.stderr).toMatch(/\[INFO\] {2}provider.*: server made: .*id=s-a/);
});

test("started by hand it says what it is; without node it says what is missing", async () => {
  const byHand = spawnSync(mirror.executable, { encoding: "utf8" });
  expect(byHand).toMatchObject({ status: 1, stdout: "" });
  expect(byHand.stderr).toContain("This is the Terraform provider shop 1.2.3. Terraform starts it by itself");
  const withoutNode = spawnSync("/bin/sh", [mirror.executable], {
    encoding: "utf8",
    env: { PATH: "/nowhere" },
  });
  expect(withoutNode).toMatchObject({
    status: 1,
    stdout: "the provider shop needs Node.js 20 or later on PATH, and there is no node\n",
  });
});

test("a Terraform that speaks no common protocol is told so in the line that it shows", () => {
  const old = spawnSync(mirror.executable, {
    encoding: "utf8",
    env: {
      PATH: process.env.PATH,
      TF_PLUGIN_MAGIC_COOKIE: "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2",
      PLUGIN_PROTOCOL_VERSIONS: "4,5",
    },
  });
  expect(old).toMatchObject({ status: 1 });
  expect(old.stdout).toContain("speaks plugin protocol 6, and this Terraform offers only 4, 5");
});

const MAGIC = {
  TF_PLUGIN_MAGIC_COOKIE: "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2",
  PLUGIN_PROTOCOL_VERSIONS: "5,6",
};

/** Starts the executable as Terraform does, with a certificate of its own. */
async function startedByHand(
  certificate: Certificate,
): Promise<{ child: ChildProcess; address: string; server: Buffer }> {
  const child = spawn(mirror.executable, {
    stdio: ["ignore", "pipe", "inherit"],
    env: { PATH: process.env.PATH, PLUGIN_CLIENT_CERT: certificate.pem, ...MAGIC },
  });
  const line = await new Promise<string>((resolve) =>
    child.stdout.once("data", (data: Buffer) => resolve(data.toString())),
  );
  const [core, protocol, network, path, kind, der] = line.trim().split("|");
  expect([core, protocol, network, kind]).toEqual(["1", "6", "unix", "grpc"]);
  const server = Buffer.from(new X509Certificate(Buffer.from(der!, "base64")).toString());
  return { child, address: path!, server };
}

/** The names of the resources, asked for over gRPC by whoever has these credentials. */
function askResources(address: string, credentials: ChannelCredentials): Promise<string[]> {
  const client = new Client(`unix://${address}`, credentials, {
    "grpc.ssl_target_name_override": "localhost",
    "grpc.default_authority": "localhost",
  });
  const { response } = PROCEDURES.GetMetadata;
  return new Promise<string[]>((resolve, reject) => {
    client.makeUnaryRequest(
      "/tfplugin6.Provider/GetMetadata",
      () => Buffer.alloc(0),
      (bytes) => response.decode(bytes),
      {},
      { deadline: Date.now() + 5_000 },
      (error, answer) => (error ? reject(error) : resolve(answer!.resources.map(({ typeName }) => typeName))),
    );
  }).finally(() => client.close());
}

test("only who started it can talk to it, and it leaves nothing behind when it is told to end", async () => {
  const [terraform, stranger] = [localhostCertificate(), localhostCertificate()];
  const { child, address, server } = await startedByHand(terraform);
  try {
    const as = ({ keyPem, pem }: Certificate) =>
      credentials.createSsl(server, Buffer.from(keyPem), Buffer.from(pem));
    expect(await askResources(address, as(terraform))).toEqual(["shop_server", "shop_ticket"]);
    for (const other of [as(stranger), credentials.createSsl(server), credentials.createInsecure()]) {
      await expect(askResources(address, other)).rejects.toThrow(/UNAVAILABLE|DEADLINE_EXCEEDED/);
    }
    expect(await askResources(address, as(terraform))).toHaveLength(2);
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    expect(await ended).toBe(1);
    expect(existsSync(dirname(address))).toBe(false);
  } finally {
    child.kill("SIGKILL");
  }
});
