import type { MemberStatus, PoolStatus } from "../../../lib/site/api";
import { troublesOf } from "../../../lib/steps/troubles";

function pool(
  problem: string | undefined,
  members: Readonly<Record<string, string | undefined>>,
): PoolStatus {
  return {
    problem,
    members: Object.entries(members).map(([id, what]) => ({ id, problem: what }) as MemberStatus),
  } as unknown as PoolStatus;
}

test("says what a pool and its members suffer from, each thing once", () => {
  expect(troublesOf(pool(undefined, { a: undefined }))).toEqual([]);
  expect(troublesOf(pool("the balancer is gone", { a: undefined, b: "it died." }))).toEqual([
    "the balancer is gone",
    "member b: it died",
  ]);
  expect(troublesOf(pool("member a: it died.", { a: "it died.", b: "it died.", c: "no answer" }))).toEqual([
    "members a, b: it died",
    "member c: no answer",
  ]);
});
