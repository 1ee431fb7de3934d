import fc from "fast-check";
import { planUsers } from "../../../../cli/demo/load/population";

describe("the users of a run", () => {
  it("are half of either kind, and a tenth of each keeps old answers", () => {
    const users = planUsers({});
    const count = (kind: string, ignoresTtl: boolean) =>
      users.filter((user) => user.kind === kind && user.ignoresTtl === ignoresTtl).length;
    expect(users).toHaveLength(100);
    expect([count("keep-alive", true), count("keep-alive", false)]).toEqual([5, 45]);
    expect([count("per-request", true), count("per-request", false)]).toEqual([5, 45]);
  });

  it("come as near to any shares as whole users can", () => {
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 300 }),
        share,
        share,
        (users, keepAliveShare, ttlIgnoringShare) => {
          const plan = planUsers({ users, keepAliveShare, ttlIgnoringShare });
          const kept = plan.filter(({ kind }) => kind === "keep-alive");
          expect(Math.abs(kept.length - users * keepAliveShare)).toBeLessThan(1.001);
          for (const kind of [kept, plan.filter((user) => !kept.includes(user))]) {
            const ignoring = kind.filter(({ ignoresTtl }) => ignoresTtl).length;
            expect(Math.abs(ignoring - kind.length * ttlIgnoringShare)).toBeLessThan(1.001);
          }
        },
      ),
    );
  });
});
