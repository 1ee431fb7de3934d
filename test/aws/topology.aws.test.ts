import { copyFileSync } from "node:fs";
import { join } from "node:path";
import {
  AwsTerraform,
  describeWithAws,
  makeGround,
  request,
  startAws,
  type AwsWorld,
  type Ground,
  type Inventory,
  type RecordedCall,
} from "../support/aws";
import { parseXml, textAt } from "../support/aws/xml";

describeWithAws("the real provider of AWS, with a burst written by hand", () => {
  let world: AwsWorld;
  let ground: Ground;
  let terraform: AwsTerraform;
  let empty: Inventory;
  let snapshot_id: string;

  beforeAll(async () => {
    world = await startAws();
    ground = await makeGround(world.direct);
    const volume = await request(world.direct, "ec2", {
      Action: "CreateVolume",
      Version: "2016-11-15",
      Size: "1",
      AvailabilityZone: "us-east-1a",
    });
    const snapshot = await request(world.direct, "ec2", {
      Action: "CreateSnapshot",
      Version: "2016-11-15",
      VolumeId: textAt(parseXml(volume), "volumeId"),
    });
    snapshot_id = textAt(parseXml(snapshot), "snapshotId");
    empty = await world.inventory();
    terraform = new AwsTerraform(world.environment);
    copyFileSync(join(__dirname, "topology", "main.tf"), join(terraform.folder, "main.tf"));
    await terraform.must("init", "-input=false");
    await terraform.must("validate");
  });

  afterAll(async () => {
    terraform?.remove();
    await world?.close();
  });

  const variables = (cloud_members?: number) => ({
    ground,
    snapshot_id,
    shop:
      cloud_members === undefined
        ? { burst: false, cloud_members: 1, weights: { home: 100 } }
        : { burst: true, cloud_members, weights: { home: 60, cloud: 40 } },
  });

  it("bursts and comes home in order, leaves nothing over, and is settled in each state", async () => {
    await terraform.apply(variables());
    expect(await terraform.settled(variables())).toBe("nothing");
    const quiet = await world.inventory();

    const outwards = world.proxy.calls.length;
    await terraform.apply(variables(3));
    expect(await terraform.settled(variables(3))).toBe("nothing");
    expect(await world.inventory()).toEqual(
      [
        ...quiet,
        ...BURST,
        ...Array(3).fill("instance running of shop"),
        ...Array(3).fill("volume 8 GiB"),
      ].sort(),
    );
    const [, ...order] = ["start", ...ordersOf(world.proxy.calls.slice(outwards))];
    expect(order).toEqual([
      "RegisterImage",
      "CreateLoadBalancer",
      "CreateListener",
      "CreateAutoScalingGroup",
      "ChangeResourceRecordSets home 60",
      "ChangeResourceRecordSets cloud 40",
    ]);

    const homewards = world.proxy.calls.length;
    await terraform.apply(variables());
    expect(await terraform.settled(variables())).toBe("nothing");
    expect(await world.inventory()).toEqual(quiet);
    expect(ordersOf(world.proxy.calls.slice(homewards))).toEqual([]);

    await terraform.must("destroy", "-auto-approve", "-input=false");
    expect(await world.inventory()).toEqual(empty);
  });
});

const BURST: readonly string[] = [];

function ordersOf(calls: readonly RecordedCall[]): string[] {
  return calls
    .filter(({ writes }) => writes)
    .map(({ action, parameters }) =>
      [action, parameters.SetIdentifier, parameters.Weight].filter((word) => word !== undefined).join(" "),
    );
}
