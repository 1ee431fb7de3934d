import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AwsTerraform, describeWithAws, makeGround, startAws } from "../support/aws";
import type { AwsWorld, RecordedCall } from "../support/aws";
import { LoadMetrics } from "./support/load-metrics";
import { out, QUIET, synthesiseShop, writeImage } from "./support/shop";

describeWithAws("a burst into AWS, by its own provider", () => {
  let folder: string;
  let world: AwsWorld;
  let terraform: AwsTerraform;
  let metrics: LoadMetrics;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "spillway-aws-burst-"));
    world = await startAws();
    const ground = await makeGround(world.direct);
    const stack = synthesiseShop(folder, ground, writeImage(folder));
    terraform = new AwsTerraform({ ...world.environment, XDG_CACHE_HOME: join(folder, "cache") }, stack);
    metrics = new LoadMetrics(world.direct, "shop");
    await terraform.must("init", "-input=false", "-no-color");
    expect(await terraform.must("validate", "-no-color")).toContain("Success!");
  });
  afterAll(async () => {
    metrics?.stop();
    await world?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** What the emulator lists, but for the disks of ended instances: it keeps them, whatever the template says of their end. */
  const holdings = async () => (await world.inventory()).filter((line) => !line.startsWith("volume"));

  /** Applies, and finds nothing left to do. @returns the calls that changed something */
  const bring = async (shop: object): Promise<string[]> => {
    const from = world.proxy.calls.length;
    await terraform.apply({ shop });
    const calls = world.proxy.calls.slice(from);
    expect(await terraform.settled({ shop })).toBe("nothing");
    return calls.filter(({ writes, status }) => writes && status < 400).map(nameOf);
  };

  it("goes out, grows and comes home, in order, is settled in each state, and leaves nothing over", async () => {
    const there = await holdings();
    const first = await bring({ ...QUIET });
    expect(first).toEqual(expect.arrayContaining(["StartSnapshot", "CompleteSnapshot", "RegisterImage"]));
    expect(first.indexOf("CompleteSnapshot")).toBeLessThan(first.indexOf("RegisterImage"));
    const quiet = await holdings();

    metrics.requests = 500;
    const outwards = await bring(out(3));
    expect(only(outwards, ORDER_OUT)).toEqual(ORDER_OUT);
    const template = world.proxy.calls.find(({ action }) => action === "CreateLaunchTemplate");
    expect(Object.entries(template?.parameters ?? {})).toContainEqual([
      expect.stringMatching(/Ebs\.DeleteOnTermination$/),
      "true",
    ]);
    expect(await world.inventory()).toEqual(
      expect.arrayContaining(Array<string>(3).fill("instance running of shop")),
    );

    await bring(out(5));
    const members = (await world.inventory()).filter((line) => line === "instance running of shop");
    expect(members).toHaveLength(5);

    // They follow the record, and are gone some time after it has left the cloud.
    const usersLeave = setInterval(() => {
      const isLeft = world.proxy.calls.some((call) => nameOf(call) === "DELETE aws");
      if (isLeft) metrics.requests = 0;
    }, 500);
    const from = world.proxy.calls.length;
    const homewards = await bring({ ...QUIET }).finally(() => clearInterval(usersLeave));
    expect(only(homewards, ORDER_HOME)).toEqual(ORDER_HOME);
    const home = world.proxy.calls.slice(from);
    const at = (name: string) => home.findIndex((call) => nameOf(call) === name);
    const lastLook = home.findLastIndex(
      ({ action, number }) =>
        action === "GetMetricData" && number < home[at("DeleteAutoScalingGroup")].number,
    );
    expect(lastLook).toBeGreaterThan(at("DELETE aws"));
    expect(await holdings()).toEqual(quiet);

    await terraform.must("destroy", "-auto-approve", "-input=false", "-no-color");
    const left = (await holdings()).filter((line) => !line.startsWith("snapshot"));
    expect(left).toEqual(there);
  });
});

const ORDER_OUT = ["CreateLoadBalancer", "CreateListener", "CreateAutoScalingGroup", "UPSERT aws"];
const ORDER_HOME = ["DELETE aws", "DeleteAutoScalingGroup", "DeleteListener", "DeleteLoadBalancer"];

const only = (names: readonly string[], wanted: readonly string[]) =>
  names.filter((name) => wanted.includes(name));

/** What a call does; of a change of records, to which of them. */
function nameOf({ action, parameters }: RecordedCall): string {
  if (action !== "ChangeResourceRecordSets") return action;
  const { Action = "", SetIdentifier = "" } = parameters;
  return `${Action === "CREATE" ? "UPSERT" : Action} ${SetIdentifier}`;
}
