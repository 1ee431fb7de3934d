import * as fc from "fast-check";
import { tryParseLoadBalancerArn, tryParseTargetGroupArn } from "../../../../providers/aws/observers";
import { availability, launchProblem } from "../../../../providers/aws/observers/health";
import { metricQuery, userMetrics } from "../../../../providers/aws/observers/metrics";
import {
  lastSettled,
  PERIOD_MS,
  seenUsers,
  SETTLE_MS,
  STALE_MS,
  usersIn,
  type UserSeries,
} from "../../../../providers/aws/observers/periods";
import { weightsIn } from "../../../../providers/aws/observers/record-weights";

const T0 = Date.UTC(2026, 10, 24, 12, 0, 0);
const HOUR = 3_600_000;
const at = (minute: number) => T0 + minute * PERIOD_MS;

/** What was reported in each minute from T0 on: `-` nothing yet, `.` only that there are targets, a digit that many. */
function minutes(text: string, of: "requests" | "open" = "requests"): UserSeries {
  const values = new Map<number, number>();
  const reported = new Set<number>();
  [...text].forEach((sign, minute) => {
    if (sign !== "-") reported.add(at(minute));
    if (/\d/.test(sign)) values.set(at(minute), Number(sign));
  });
  return { [of]: values, reported };
}
const look = (text: string, now: number) => seenUsers(minutes(text), "app", { now, from: T0 });

test("a sparse metric that is absent is 0 only in periods that the balancer has reported", () => {
  expect(look("3....", at(6))).toEqual({ count: 0, until: at(5), quietFrom: at(1) });
  expect(look("3.-..", at(6))).toEqual({ count: 0, until: at(5), quietFrom: at(3) });
  expect(look("3..--", at(6))).toEqual({ count: 0, until: at(3), quietFrom: at(1) });
});

test("a period counts as quiet only when it is over and its data can be in", () => {
  expect(look(".....", at(5))).toMatchObject({ until: at(4) });
  expect(look(".....", at(5) + SETTLE_MS - 1)).toMatchObject({ until: at(4) });
  expect(look(".....", at(5) + SETTLE_MS)).toMatchObject({ until: at(5) });
});

test("users count as soon as they are seen, in a period that is not over too", () => {
  expect(look("....2", at(4) + 5_000)).toEqual({ count: 2, until: at(4) + 5_000 });
  expect(look("...2-", at(4) + 5_000)).toEqual({ count: 2, until: at(4) });
});

test("no metrics, and metrics that stopped long ago, are unknown and never 0", () => {
  for (const seen of [look("", at(3)), look("-----", at(6)), look("...", at(3) + STALE_MS + SETTLE_MS)]) {
    expect(seen.count).toBeUndefined();
    expect(seen.quietFrom).toBeUndefined();
    expect(seen.problem).toMatch(/not 0/);
  }
});

test("flows of a network balancer are always reported: where they are missing nothing is known", () => {
  const reported = minutes(".....").reported;
  const open = minutes("0-000", "open").open;
  expect(seenUsers({ open, reported }, "net", { now: at(6), from: T0 })).toMatchObject({ quietFrom: at(2) });
  expect(usersIn({ begun: new Map([[T0, 2]]), reported }, "net", T0)).toBe(2);
});

const series = fc
  .array(fc.constantFrom("-", ".", "0", "1", "9"), { maxLength: 30 })
  .map((all) => all.join(""));

test("quiet never covers a period with users, an unknown one, or one that is not settled", () => {
  fc.assert(
    fc.property(series, fc.integer({ min: 0, max: 40 * PERIOD_MS }), (text, ms) => {
      const now = T0 + ms;
      const seen = look(text, now);
      if (seen.quietFrom === undefined) return;
      const { quietFrom, until = 0 } = seen;
      expect(until).toBeLessThanOrEqual(now - SETTLE_MS);
      expect(now - until).toBeLessThanOrEqual(STALE_MS);
      for (let period = quietFrom; period < until; period += PERIOD_MS)
        expect(usersIn(minutes(text), "app", period)).toBe(0);
      expect(lastSettled(now)).toBeGreaterThanOrEqual(until - PERIOD_MS);
    }),
  );
});

test("what arrives late may end a quiet that was seen, and never makes one longer than it is", () => {
  fc.assert(
    fc.property(series, fc.nat(29), (text, index) => {
      const now = T0 + HOUR / 2;
      const before = look(text, now);
      const late = [...text.padEnd(30, "-")];
      late[index] = "7";
      const after = look(late.join(""), now);
      if (before.quietFrom === undefined || after.quietFrom === undefined) return;
      const length = ({ quietFrom = 0, until = 0 }) => until - quietFrom;
      expect(length(after)).toBeLessThanOrEqual(length(before));
    }),
  );
});

const GROUP = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/shop/73e2d6bc24d8a067";
const BALANCER =
  "arn:aws-cn:elasticloadbalancing:cn-north-1:123456789012:loadbalancer/app/shop/50dc6c495c0c9188";

test("ARNs become the dimensions of CloudWatch, and what is none is refused", () => {
  const group = tryParseTargetGroupArn(GROUP);
  const balancer = tryParseLoadBalancerArn(BALANCER);
  expect(group).toMatchObject({
    region: "eu-central-1",
    name: "shop",
    dimension: "targetgroup/shop/73e2d6bc24d8a067",
  });
  expect(balancer).toMatchObject({
    region: "cn-north-1",
    kind: "app",
    dimension: "app/shop/50dc6c495c0c9188",
  });
  if (!group || !balancer) throw new Error("not parsed");
  const [requests] = userMetrics("app", false);
  expect(requests && metricQuery(requests, { balancer, group, shared: false }).MetricStat).toMatchObject({
    Metric: {
      Namespace: "AWS/ApplicationELB",
      MetricName: "RequestCount",
      Dimensions: [{ Name: "LoadBalancer", Value: "app/shop/50dc6c495c0c9188" }],
    },
    Period: 60,
    Stat: "Sum",
  });
  fc.assert(fc.property(fc.string(), (text) => tryParseTargetGroupArn(text) === undefined));
  for (const none of [GROUP, BALANCER.replace("/app/", "/gwy/"), "arn:aws:s3:::bucket", ""])
    expect(tryParseLoadBalancerArn(none)).toBeUndefined();
});

test("a balancer that others share tells of its connections nothing that is this group's", () => {
  expect(userMetrics("app", true).filter(({ of }) => of === "balancer")).toEqual([]);
  expect(userMetrics("app", false).map(({ name }) => name)).toContain("ActiveConnectionCount");
  expect(userMetrics("net", true).map(({ name }) => name)).toContain("ActiveFlowCount");
});

test("only healthy targets are up, and instances that are no targets yet are coming", () => {
  const target = (Id: string, State: "healthy" | "initial" | "draining" | "unhealthy" | "unavailable") => ({
    Target: { Id, Port: 80 },
    TargetHealth: { State, Description: `${State} because` },
  });
  const instance = (InstanceId: string, LifecycleState: "Pending" | "InService" | "Terminating") => ({
    ...{
      InstanceId,
      LifecycleState,
      AvailabilityZone: "a",
      HealthStatus: "Healthy",
      ProtectedFromScaleIn: false,
    },
  });
  const seen = availability(
    [
      target("i-1", "healthy"),
      target("i-2", "initial"),
      target("i-3", "draining"),
      target("i-4", "unavailable"),
    ],
    {
      DesiredCapacity: 5,
      Instances: [instance("i-1", "InService"), instance("i-5", "Pending"), instance("i-6", "Terminating")],
    },
  );
  expect(seen).toMatchObject({ wanted: 5, up: 1 });
  expect(seen.members.map(({ id, state }) => `${id} ${state}`)).toEqual([
    ...["i-1:80 up", "i-2:80 coming", "i-3:80 leaving", "i-4:80 down", "i-5 coming", "i-6 leaving"],
  ]);
  expect(seen.members[1]?.reason).toBe("initial: initial because");
});

test("why instances do not come is told, unless a later try did better", () => {
  const activity = (minute: number, StatusCode: "Failed" | "Successful", StatusMessage?: string) => ({
    ...{
      ActivityId: String(minute),
      AutoScalingGroupName: "shop",
      Cause: "",
      StartTime: new Date(at(minute)),
    },
    ...{ StatusCode, StatusMessage },
  });
  const refused = activity(
    2,
    "Failed",
    "We currently do not have sufficient m6i.large capacity in the Availability Zone you requested.",
  );
  expect(launchProblem([activity(1, "Successful"), refused])).toMatch(
    /InsufficientInstanceCapacity: We currently/,
  );
  expect(launchProblem([activity(3, "Successful"), refused])).toBeUndefined();
  expect(launchProblem([])).toBeUndefined();
});

test("weights of a set are read by identifier, and those of other names are left alone", () => {
  const set = (Name: string, SetIdentifier: string | undefined, Weight: number | undefined) => ({
    ...{ Name, SetIdentifier, Weight, Type: "A" as const },
  });
  expect(
    weightsIn(
      [
        set("Shop.example.com.", "home", 60),
        set("shop.example.com.", "cloud", 40),
        set("shop.example.com.", undefined, undefined),
        set("shop2.example.com.", "home", 1),
      ],
      "shop.example.com",
    ),
  ).toEqual({ home: 60, cloud: 40 });
});
