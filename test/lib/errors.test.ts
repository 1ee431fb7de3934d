import { inspect } from "node:util";
import { SpillwayError, SpillwayErrors, throwProblems } from "../../lib/errors";

const ONE = { place: "shop/shop", problem: "`members` must be at least 1, got 0", mend: "Raise it." };
const TWO = { place: "shop/gate", problem: "`successes` must be at least 1, got -1", mend: "Leave it out." };

function thrown(reports: Parameters<typeof throwProblems>[0]): unknown {
  try {
    throwProblems(reports);
  } catch (error) {
    return error;
  }
  return undefined;
}

test("no problem throws nothing", () => {
  expect(thrown([])).toBeUndefined();
});

test("one problem is thrown as itself, from where it was found", () => {
  const error = thrown([ONE]) as SpillwayError;
  expect(error).toBeInstanceOf(SpillwayError);
  expect(error.message).toBe("`members` must be at least 1, got 0 (at shop/shop). Raise it.");
  expect(error.stack?.split("\n")[1]).toContain("errors.test.ts");
});

test("several are thrown together, and each can still be had by itself", () => {
  const error = thrown([ONE, TWO]) as SpillwayErrors;
  expect(error).toBeInstanceOf(AggregateError);
  expect(error.errors.map(({ report }) => report)).toEqual([ONE, TWO]);
});

test("however many there are, their stack is printed once", () => {
  const printed = inspect(thrown([ONE, TWO]));
  expect(printed).toContain("SpillwayErrors: 2 problems\n  * `members` must be");
  expect(printed.match(/at thrown /g)).toHaveLength(1);
});
