import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import {
  DeleteLoadBalancerCommand,
  DeleteTargetGroupCommand,
  DescribeTargetHealthCommand,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import {
  ChangeResourceRecordSetsCommand,
  CreateHostedZoneCommand,
  Route53Client,
} from "@aws-sdk/client-route-53";
import { AwsCloud, TargetGroupObserver, type TargetGroupOptions } from "../../../../providers/aws/observers";
import { describeWithMoto, SECRET, startMoto, type Moto } from "../../../support/aws/moto";
import { Region } from "./support";

const NOBODY = new AbortController().signal;
const before = { ...process.env };
let moto: Moto;
let region: Region;
let observers: { close(): void }[];
const servers: Server[] = [];

describeWithMoto("a pool on AWS", () => {
  beforeAll(async () => {
    moto = await startMoto();
  }, 40_000);
  afterAll(() => moto.stop());
  beforeEach(async () => {
    await fetch(`${moto.endpoint}/moto-api/reset`, { method: "POST" });
    Object.assign(process.env, moto.environment);
    region = new Region();
    observers = [];
  });
  afterEach(() => {
    observers.forEach((observer) => observer.close());
    servers.splice(0).forEach((server) => server.close());
    region.close();
    process.env = { ...before };
  });

  const observe = (options: Partial<TargetGroupOptions> = {}) => {
    const observer = new TargetGroupObserver({ targetGroupArn: region.groupArn, ...options });
    observers.push(observer);
    return observer;
  };

  it("is available as its targets are, with the desired capacity of its group wanted", async () => {
    await region.make();
    await region.launch(2);
    expect(await observe().available(NOBODY)).toMatchObject({ up: 2 });
    await region.scale(3);
    const seen = await observe({ autoScalingGroup: "shop" }).available(NOBODY);
    expect(seen?.wanted).toBe(3);
    expect(seen?.up).toBe(5);
    await expect(observe({ autoScalingGroup: "other" }).available(NOBODY)).rejects.toMatchObject({
      kind: "data",
      report: { problem: expect.stringContaining('no Auto Scaling group "other"') },
    });
  });

  it("has the users that its balancer reports, and is quiet only while metrics say so", async () => {
    await region.make();
    await region.launch(1);
    expect(await observe().users(NOBODY)).toMatchObject({ problem: expect.stringContaining("not 0") });
    for (const minute of [6, 5, 4, 3, 2]) await region.put(minute, { HealthyHostCount: 1 });
    await region.put(4, { RequestCount: 7 });
    const seen = await observe().users(NOBODY);
    expect(seen?.count).toBe(0);
    const { quietFrom = 0, until = 0 } = seen ?? {};
    expect(until - quietFrom).toBe(2 * 60_000);
    await region.put(0, { ActiveConnectionCount: 2 });
    expect(await observe().users(NOBODY)).toMatchObject({ count: 2 });
  });

  it("behind a network balancer has flows, and a minute without any word of them is unknown", async () => {
    await region.make("network");
    await region.launch(1);
    for (const minute of [5, 4, 3, 2]) await region.put(minute, { HealthyHostCount: 1 });
    expect((await observe().users(NOBODY))?.count).toBeUndefined();
    for (const minute of [3, 2]) await region.put(minute, { ActiveFlowCount: 0 });
    const seen = await observe().users(NOBODY);
    expect(seen).toMatchObject({ count: 0 });
    expect((seen?.until ?? 0) - (seen?.quietFrom ?? 0)).toBe(2 * 60_000);
  });

  it("without targets, without a balancer, or gone, has nobody", async () => {
    await region.make();
    expect(await observe().users(NOBODY)).toMatchObject({ count: 0, quietFrom: 0 });
    await region.launch(1);
    const { balancerArn } = region;
    await region.balancing.send(new DeleteLoadBalancerCommand({ LoadBalancerArn: balancerArn }));
    expect(await observe({ loadBalancerArn: balancerArn }).users(NOBODY)).toBeUndefined();
    const TargetGroupArn = region.groupArn;
    await region.balancing.send(new DeleteTargetGroupCommand({ TargetGroupArn }));
    expect(await observe().users(NOBODY)).toBeUndefined();
    expect(await observe().available(NOBODY)).toBeUndefined();
    expect(await observe().exists(NOBODY)).toBe(false);
    await expect(
      region.balancing.send(new DescribeTargetHealthCommand({ TargetGroupArn })),
    ).rejects.toThrow();
  });

  it("that cannot be asked says why, and whether asking again may help; the secret is nowhere", async () => {
    await region.make();
    const answers: [number, string, string, RegExp][] = [
      [400, "ExpiredToken", "refused", /have expired/],
      [403, "AccessDenied", "refused", /may not elasticloadbalancing:DescribeTargetGroups/],
      [400, "Throttling", "silence", /fewer requests/],
      [500, "InternalFailure", "silence", /no answer/],
    ];
    for (const [status, code, kind, problem] of answers) {
      const server = createServer((_, response) => {
        response.writeHead(status, { "content-type": "text/xml" });
        response.end(
          `<ErrorResponse><Error><Type>Sender</Type><Code>${code}</Code><Message>no</Message></Error></ErrorResponse>`,
        );
      });
      servers.push(server);
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      process.env.AWS_ENDPOINT_URL = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const error = await observe()
        .exists(NOBODY)
        .catch((reason: unknown) => reason);
      expect(error).toMatchObject({ kind, report: { problem: expect.stringMatching(problem) } });
      expect(JSON.stringify(error) + String(error)).not.toContain(SECRET);
    }
    process.env.AWS_ENDPOINT_URL = "http://127.0.0.1:1";
    await expect(observe().exists(NOBODY)).rejects.toMatchObject({ kind: "silence" });
    await expect(observe().exists(AbortSignal.abort())).rejects.toThrow("stopped");
  });

  it("is seen by the hook: nothing before the burst, then members, load and the record's weights", async () => {
    const zone = await makeZone();
    const burst: ConstructorParameters<typeof AwsCloud>[0] = {
      platform: {
        ...{
          kind: "aws",
          region: "us-east-1",
          autoScalingGroup: "shop",
          targetGroup: "shop",
          loadBalancer: "shop",
        },
        ...{ zone: "example.test", homeIdentifier: "home", cloudIdentifier: "cloud" },
      },
      record: { name: "shop.example.test", ttlSeconds: 30 },
      onPrem: { site: "onprem", pool: "shop", memberCapacityRps: 100, members: 2 },
      cloud: { site: "aws", pool: "shop", memberCapacityRps: 100, members: 2 },
    };
    const cloud = new AwsCloud(burst);
    observers.push(cloud);
    expect(await cloud.look(NOBODY)).toEqual({
      ...{
        members: 0,
        membersUp: 0,
        demandRps: 0,
        sessions: 0,
        openConnections: 0,
        p95Ms: 0,
        failedTotal: 0,
      },
    });
    expect(await cloud.weights(NOBODY)).toEqual({});
    await zone({ home: 60, cloud: 40 });
    await region.make();
    await region.launch(2);
    await new Promise((resolve) => setTimeout(resolve, 5_200));
    expect(await cloud.look(NOBODY)).toMatchObject({
      membersUp: 2,
      usersUnknown: expect.stringContaining("not 0"),
    });
    expect(await cloud.weights(NOBODY)).toEqual({ onprem: 60, aws: 40 });
    for (const minute of [3, 2, 1]) {
      const load = { RequestCount: 600, ActiveConnectionCount: 12, TargetResponseTime: 0.25 };
      await region.put(minute, { HealthyHostCount: 2, HTTPCode_ELB_5XX_Count: 1, ...load });
    }
    const fresh = new AwsCloud(burst);
    observers.push(fresh);
    const seen = await fresh.look(NOBODY);
    expect(seen).toMatchObject({
      membersUp: 2,
      demandRps: 10,
      openConnections: 12,
      failedTotal: 3,
      // The emulator knows no quantiles.
      p95Ms: 0,
    });
    expect(seen.usersUnknown).toBeUndefined();
    expect(seen.lateByMs).toBeGreaterThanOrEqual(60_000);
  }, 40_000);
});

async function makeZone(): Promise<(weights: Readonly<Record<string, number>>) => Promise<void>> {
  const client = new Route53Client({ maxAttempts: 1 });
  const { HostedZone } = await client.send(
    new CreateHostedZoneCommand({ Name: "example.test", CallerReference: "test" }),
  );
  return async (weights) => {
    const Changes = Object.entries(weights).map(([SetIdentifier, Weight]) => ({
      Action: "CREATE" as const,
      ResourceRecordSet: {
        ...{ Name: "shop.example.test", Type: "A" as const, SetIdentifier, Weight, TTL: 30 },
        ResourceRecords: [{ Value: "192.0.2.1" }],
      },
    }));
    await client.send(
      new ChangeResourceRecordSetsCommand({ HostedZoneId: HostedZone?.Id, ChangeBatch: { Changes } }),
    );
    client.destroy();
  };
}
