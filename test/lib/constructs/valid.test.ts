import { App, Token } from "cdktf";
import { join } from "node:path";
import {
  Burst,
  CloudPool,
  Gate,
  GlobalRecord,
  HealthMonitor,
  Image,
  ImageReplica,
  OnPremPool,
  Site,
} from "../../../lib";
import { TerraformFolder } from "../../support/terraform-cli";
import { DIGEST, cloud, image, monitor, newStack, onprem } from "./support";

/** Everything the constructs can write, in the forms that differ, judged by Terraform and our own provider. */
test("whatever the constructs write is valid Terraform, and the provider takes it", async () => {
  const stack = newStack();
  const name = (id: string) => ({ name: `${id}.example.test`, nameServer: onprem });
  const replica = new ImageReplica(stack, "home-image", {
    image,
    site: onprem,
    retain: false,
    transferTimeoutMs: 1_500,
  });
  const home = new OnPremPool(stack, "home", { replica, members: 2, port: 8080, monitor });
  const common = { image, onPrem: { pool: home, memberCapacityRps: 40 } };
  new Burst(stack, "plain", { ...common, cloud: { site: cloud }, record: name("plain") });
  new Burst(stack, "pre-positioned", {
    ...common,
    image: new Image({ source: "/images/shop.tar", digest: DIGEST }),
    cloud: {
      site: new Site("rented-rack", {
        endpoint: "https://rack.example:7501",
        address: "192.0.2.1",
        tokenEnv: "RACK_TOKEN",
      }),
      listenAddress: "0.0.0.0",
      affinity: "none",
      environment: { TIER: "cloud" },
      launchTimeoutMs: 90_000,
    },
    record: { ...name("pre"), ttlSeconds: 5, ramp: { stepsPercent: [10, 50, 100], intervalMs: 30_000 } },
    gate: { minMembers: 1, onDeadline: "force", openTimeoutMs: 60_000, closeTimeoutMs: 3_600_000 },
    preposition: true,
  });
  new Burst(stack, "source", {
    ...common,
    onPrem: {
      pool: OnPremPool.fromAttributes(stack, "legacy", {
        site: onprem,
        poolName: "legacy",
        port: 80,
        members: 3,
      }),
      memberCapacityRps: 40,
    },
    cloud: { site: cloud, poolName: "legacy" },
    record: name("source"),
  });
  const always = new CloudPool(stack, "always", {
    replica: ImageReplica.fromDigest(stack, "seed", { site: cloud, digest: DIGEST }),
    members: 1,
    port: 81,
    mode: "tcp",
    monitor: new HealthMonitor({ type: "tcp", intervalMs: 300 }),
  });
  new GlobalRecord(stack, "lasting", {
    ...name("lasting"),
    answers: [
      { pool: home, weight: 60 },
      { gate: new Gate(stack, "gate", { pool: always }), weight: 40 },
    ],
  });
  const seasonal = new ImageReplica(stack, "seasonal", { image, site: cloud, when: "${var.plain.burst}" });
  const pool = new CloudPool(stack, "seasonal-pool", {
    replica: seasonal,
    members: 1,
    port: 82,
    imageDigest: DIGEST,
  });
  new GlobalRecord(stack, "changing", {
    ...name("changing"),
    answers: [
      { site: onprem, weight: Token.asNumber("${var.plain.burst ? 60 : 100}") },
      { gate: new Gate(stack, "seasonal-gate", { pool }), weight: 40 },
    ],
  });
  const app = App.of(stack);
  app.synth();
  const terraform = new TerraformFolder(join(app.outdir, "stacks", "shop"));
  await terraform.must("init");
  const { code, stdout } = await terraform.run(["validate", "-json"]);
  expect(JSON.parse(stdout)).toMatchObject({ valid: true, diagnostics: [] });
  expect(code).toBe(0);
});
