import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { action, AwsTerraform, describeWithAws, makeGround, startAws } from "../support/aws";
import type { AwsWorld } from "../support/aws";
import { APPLY, variablesOf } from "../support/aws/terraform";
import { out, QUIET, synthesiseShop, writeImage } from "./support/shop";

describeWithAws("an apply that is killed on its way out", () => {
  let folder: string;
  let world: AwsWorld;
  let stack: string;
  let terraform: AwsTerraform;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "spillway-aws-killed-"));
    world = await startAws({ promptRecords: true });
    stack = synthesiseShop(folder, await makeGround(world.direct), writeImage(folder));
    terraform = new AwsTerraform({ ...world.environment, XDG_CACHE_HOME: join(folder, "cache") }, stack);
    await terraform.must("init", "-input=false", "-no-color");
  });
  afterEach(async () => {
    await world?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const burst = () => terraform.run(["apply", ...APPLY, ...variablesOf({ shop: out(2) })]);
  const plain = (text: string) => text.replace(/[│╷╵]/g, " ").replace(/\s+/g, " ");

  /** The one of its type that comes and goes. */
  const addressOf = (type: string) => {
    const { resource } = JSON.parse(readFileSync(join(stack, "cdk.tf.json"), "utf8")) as {
      readonly resource: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
    };
    return `${type}.${Object.keys(resource[type])[0]}[0]`;
  };

  it("after its balancer was made is told so by the next one, and goes on once the balancer is imported", async () => {
    await terraform.apply({ shop: QUIET });
    const pause = world.proxy.pauseAt({ when: action("CreateLoadBalancer"), nth: 1, done: true });
    const running = await terraform.start(["apply", ...APPLY, ...variablesOf({ shop: out(2) })]);
    const call = await pause.reached;
    running.killAll();
    await running.done;
    pause.release();

    // AWS's provider writes down what it made when it is wholly done: a kill before that leaves it to be imported, as in any stack of it.
    const refused = await burst();
    expect({ code: refused.code, said: plain(refused.stdout + refused.stderr) }).toEqual({
      code: 1,
      said: expect.stringMatching(/already exists/i),
    });
    const arn = /<LoadBalancerArn>([^<]+)</.exec(call.answer ?? "")?.[1] ?? "";
    await terraform.must(
      ...["import", "-input=false", "-no-color", ...variablesOf({ shop: out(2) }), addressOf("aws_lb"), arn],
    );
    const { code, stdout, stderr } = await burst();
    expect({ code, said: code === 0 ? "" : plain(stdout + stderr) }).toEqual({ code: 0, said: "" });
    expect(await terraform.settled({ shop: out(2) })).toBe("nothing");
    const there = await world.inventory();
    const count = (line: RegExp) => there.filter((one) => line.test(one)).length;
    expect({
      members: count(/^instance running of shop$/),
      snapshots: count(/^snapshot \w+ 1 GiB Spillway image/),
      images: count(/^image /),
      balancers: count(/^load balancer /),
    }).toEqual({ members: 2, snapshots: 1, images: 1, balancers: 1 });
  });
});
