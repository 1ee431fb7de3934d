import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { action, AwsTerraform, describeWithAws, makeGround, SECRET, startAws } from "../support/aws";
import type { AwsWorld } from "../support/aws";
import { APPLY, variablesOf } from "../support/aws/terraform";
import { LoadMetrics } from "./support/load-metrics";
import { out, QUIET, synthesiseShop, writeImage } from "./support/shop";

describeWithAws("a burst into an AWS in trouble", () => {
  let folder: string;
  let world: AwsWorld;
  let terraform: AwsTerraform;
  let metrics: LoadMetrics;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "spillway-aws-faults-"));
    world = await startAws({ promptRecords: true });
    const stack = synthesiseShop(folder, await makeGround(world.direct), writeImage(folder));
    terraform = new AwsTerraform({ ...world.environment, XDG_CACHE_HOME: join(folder, "cache") }, stack);
    metrics = new LoadMetrics(world.direct, "shop");
    await terraform.must("init", "-input=false", "-no-color");
  });
  afterEach(async () => {
    metrics?.stop();
    await world?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const burst = () => terraform.run(["apply", ...APPLY, ...variablesOf({ shop: out(2) })]);
  const plain = (text: string) => text.replace(/[│╷╵]/g, " ").replace(/\s+/g, " ");

  /** All of a burst is there, once, and a plan wants nothing. */
  const isWhole = async () => {
    expect(await terraform.settled({ shop: out(2) })).toBe("nothing");
    const there = await world.inventory();
    const count = (line: RegExp) => there.filter((one) => line.test(one)).length;
    expect({
      members: count(/^instance running of shop$/),
      snapshots: count(/^snapshot \w+ 1 GiB Spillway image/),
      images: count(/^image /),
      templates: count(/^launch template /),
      balancers: count(/^load balancer /),
      targetGroups: count(/^target group /),
    }).toEqual({ members: 2, snapshots: 1, images: 1, templates: 1, balancers: 1, targetGroups: 1 });
  };

  it("that throttles, fails and cuts connections off now and then is got through in one apply", async () => {
    const everySo = (often: number) => {
      let seen = 0;
      return () => ++seen % often === 0;
    };
    world.proxy.fault({ when: everySo(7), fault: { kind: "throttle" } });
    world.proxy.fault({
      when: everySo(11),
      fault: { kind: "error", status: 500, code: "InternalFailure", message: "try again" },
    });
    world.proxy.fault({ when: everySo(13), fault: { kind: "reset" } });
    await terraform.apply({ shop: QUIET });
    expect(await burst()).toMatchObject({ code: 0 });
    world.proxy.clearFaults();
    await isWhole();
  });

  it.each([
    "RegisterImage",
    "CreateLoadBalancer",
    "CreateAutoScalingGroup",
    "DescribeTargetHealth",
    "ChangeResourceRecordSets",
  ])("whose credentials expire at %s says so, and the next apply goes on", async (name) => {
    if (name !== "RegisterImage") await terraform.apply({ shop: QUIET });
    const expired = world.proxy.fault({
      when: action(name),
      fault: {
        kind: "error",
        status: 403,
        code: "ExpiredToken",
        message: "The security token included in the request is expired",
      },
    });
    const { code, stdout, stderr } = await burst();
    expect(expired.hits.length).toBeGreaterThan(0);
    expect({ code, said: plain(stdout + stderr) }).toEqual({
      code: 1,
      said: expect.stringMatching(/ExpiredToken|expired/),
    });
    expect(stdout + stderr).not.toContain(SECRET);
    world.proxy.clearFaults();
    expect(await burst()).toMatchObject({ code: 0 });
    await isWhole();
  });
});
