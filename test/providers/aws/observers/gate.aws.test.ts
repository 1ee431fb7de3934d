import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  DeleteTargetGroupCommand,
  DeleteListenerCommand,
  DescribeListenersCommand,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { TerraformFolder } from "../../../support/terraform-cli";
import { describeWithMoto, SECRET, startMoto, type Moto } from "../../../support/aws/moto";
import { Region } from "./support";

const before = { ...process.env };
let moto: Moto;
let region: Region;
let home: string;
let folder: TerraformFolder;

const progress = () => readFileSync(join(home, "progress.jsonl"), "utf8");
const destroy = () => folder.run(["destroy", "-auto-approve", "-no-color", "-input=false"]);
const plain = (text: string) => text.replace(/[│╷╵]/g, " ").replace(/\s+/g, " ");

function configure(settings: object): void {
  const config = {
    terraform: { required_providers: { spillway: { source: "spillway/spillway" } } },
    provider: { spillway: {} },
    resource: { spillway_gate: { g: settings } },
    output: { id: { value: "${spillway_gate.g.id}" } },
  };
  writeFileSync(join(folder.folder, "main.tf.json"), JSON.stringify(config));
}

describeWithMoto("spillway_gate with aws", () => {
  beforeAll(async () => {
    moto = await startMoto();
  }, 40_000);
  afterAll(() => moto.stop());
  beforeEach(async () => {
    await fetch(`${moto.endpoint}/moto-api/reset`, { method: "POST" });
    Object.assign(process.env, moto.environment);
    region = new Region();
    home = mkdtempSync(join(tmpdir(), "spillway-gate-"));
    mkdirSync(join(home, "tf"));
    folder = new TerraformFolder(join(home, "tf"), { SPILLWAY_PROGRESS: join(home, "progress.jsonl") });
  });
  afterEach(() => {
    region.close();
    rmSync(home, { recursive: true, force: true });
    process.env = { ...before };
  });

  it("opens at healthy targets, holds its destruction while there are users, and lets go when they are gone", async () => {
    await region.make();
    await region.launch(1);
    await region.scale(2);
    const aws = {
      target_group_arn: region.groupArn,
      load_balancer_arn: region.balancerArn,
      auto_scaling_group: "shop",
    };
    const settings = { aws, record_ttl: 0, quiet_period: "1s", timeouts: { create: "30s", delete: "15s" } };
    configure(settings);
    await folder.must("init", "-no-color");
    expect(await folder.must("plan", "-no-color")).toMatch(/\+ site\s+= "aws\/us-east-1"/);
    await folder.must("apply", "-auto-approve", "-no-color");
    expect((await folder.must("output", "-raw", "id")).trim()).toMatch(
      /^aws\/us-east-1\/shop#[0-9a-f-]{36}$/,
    );
    const again = await folder.run(["plan", "-no-color", "-detailed-exitcode"]);
    expect(again.code).toBe(0);
    expect(progress()).toMatch(/available: 3 good looks in a row, 3 members up/);

    for (const minute of [3, 2, 1, 0]) await region.put(minute, { HealthyHostCount: 3, RequestCount: 5 });
    const held = await destroy();
    expect(held.code).not.toBe(0);
    expect(plain(held.stderr + held.stdout)).toMatch(/waiting for 5 users to leave/);
    expect(await folder.must("state", "list")).toContain("spillway_gate.g");

    // Unknown is not empty either: nothing was reported of the minutes that come now.
    configure({ ...settings, timeouts: { create: "30s", delete: "5m" } });
    await folder.must("apply", "-auto-approve", "-no-color");
    const ended = destroy();
    const reports = setInterval(() => void region.put(0, { HealthyHostCount: 3 }), 5_000);
    const startedAt = Date.now();
    const { code, stdout, stderr } = await ended.finally(() => clearInterval(reports));
    expect({ code, out: code === 0 ? "" : stdout + stderr }).toEqual({ code: 0, out: "" });
    // The first whole minute without users, and the minute in which its data settle.
    expect(Date.now() - startedAt).toBeGreaterThan(60_000);
    expect(progress()).toMatch(/no user is left/);
    const state = readFileSync(join(folder.folder, "terraform.tfstate.backup"), "utf8");
    expect(progress() + stdout + stderr + state).not.toContain(SECRET);
  }, 300_000);

  it("is left as it is by Ctrl-C, and cuts users off at its deadline with force", async () => {
    await region.make();
    await region.launch(1);
    await region.put(0, { HealthyHostCount: 1, ActiveConnectionCount: 4 });
    const settings = { aws: { target_group_arn: region.groupArn }, successes: 1, record_ttl: 0 };
    configure(settings);
    await folder.must("init", "-no-color");
    await folder.must("apply", "-auto-approve", "-no-color");
    const stop = new AbortController();
    const stopped = folder.run(["destroy", "-auto-approve", "-no-color", "-input=false"], {
      signal: stop.signal,
    });
    const untilHeld = setInterval(() => progress().includes("waiting for 4 users") && stop.abort(), 200);
    const { code, stdout, stderr } = await stopped.finally(() => clearInterval(untilHeld));
    expect(code).not.toBe(0);
    expect(plain(stdout + stderr)).toMatch(/it serves on, and nothing was taken down/);
    expect(await folder.must("state", "list")).toContain("spillway_gate.g");
    configure({ ...settings, on_deadline: "force", timeouts: { delete: "4s" } });
    await folder.must("apply", "-auto-approve", "-no-color");
    await folder.must("destroy", "-auto-approve", "-no-color");
    expect(progress()).toContain("users who are still there are cut off");
  }, 120_000);

  it("does not hold what is gone already", async () => {
    await region.make();
    await region.launch(1);
    configure({ aws: { target_group_arn: region.groupArn }, successes: 1 });
    await folder.must("init", "-no-color");
    await folder.must("apply", "-auto-approve", "-no-color");
    const { Listeners = [] } = await region.balancing.send(
      new DescribeListenersCommand({ LoadBalancerArn: region.balancerArn }),
    );
    for (const { ListenerArn } of Listeners)
      await region.balancing.send(new DeleteListenerCommand({ ListenerArn }));
    await region.balancing.send(new DeleteTargetGroupCommand({ TargetGroupArn: region.groupArn }));
    expect(await folder.must("plan", "-no-color", "-destroy")).toMatch(
      /without changing any real infrastructure/,
    );
    // Without a refresh the state still has it.
    await folder.must("destroy", "-auto-approve", "-no-color", "-refresh=false");
    expect(progress()).toContain("is gone, and its users with it");
  }, 120_000);

  it("keeps what the state says when AWS cannot be asked, and is imported by name", async () => {
    await region.make();
    await region.launch(1);
    configure({ aws: { target_group_arn: region.groupArn }, successes: 1 });
    await folder.must("init", "-no-color");
    await folder.must("import", "-no-color", "spillway_gate.g", "aws/us-east-1/shop");
    const id = (): string =>
      /"id": "(aws[^"]+)"/.exec(readFileSync(join(folder.folder, "terraform.tfstate"), "utf8"))?.[1] ?? "";
    const imported = id();
    // To name the region that it is in is no change, and another one is another gate.
    const inRegion = (name: string) => ({
      aws: { target_group_arn: region.groupArn, region: name },
      successes: 1,
    });
    configure(inRegion("us-east-1"));
    await folder.must("apply", "-auto-approve", "-no-color");
    expect(id()).toBe(imported);
    configure(inRegion("eu-central-1"));
    expect(await folder.must("plan", "-no-color")).toMatch(/forces replacement/);
    configure(inRegion("us-east-1"));
    process.env.AWS_ENDPOINT_URL = "http://127.0.0.1:1";
    const planned = await folder.run(["plan", "-no-color", "-detailed-exitcode"]);
    expect(planned.code).toBe(0);
    expect(plain(planned.stdout)).toMatch(/AWS cannot be asked whether the target group is there/);
  }, 120_000);

  it("is refused with both or neither of pool and aws, and with what is no ARN", async () => {
    const aws = { target_group_arn: "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/shop/0" };
    configure({ aws, pool: "cloud/shop" });
    await folder.must("init", "-no-color");
    const said = async () => plain((await folder.run(["validate", "-no-color"])).stderr);
    expect(await said()).toMatch(/either `pool` or `aws`, and here are both/);
    configure({});
    expect(await said()).toMatch(/either `pool` or `aws`, and here is neither/);
    configure({ aws: { target_group_arn: "shop", load_balancer_arn: "x", endpoint: "ftp://x" } });
    const all = await said();
    for (const what of ["target_group_arn` must be", "load_balancer_arn` must be", "endpoint` must be"])
      expect(all).toContain(what);
    configure({ aws });
    expect((await folder.run(["validate", "-no-color"])).code).toBe(0);
  }, 120_000);
});
