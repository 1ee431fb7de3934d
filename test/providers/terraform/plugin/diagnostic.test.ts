import { SpillwayError } from "../../../../lib/errors";
import { a, Diagnostic, Diagnostics, formatPath } from "../../../../providers/terraform/plugin";
import { reportsOf } from "../../../../providers/terraform/plugin/diagnostic";
import { checkConfig } from "../../../../providers/terraform/plugin/runtime/validate";
import { diagnosticWire } from "../../../../providers/terraform/plugin/runtime/wire-diagnostic";

test("a path is written as in a configuration", () => {
  expect(formatPath(["answers", 0, "weight"])).toBe("answers[0].weight");
  expect(formatPath(["sites", "on-prem", "endpoint"])).toBe('sites["on-prem"].endpoint');
  expect(formatPath([])).toBe("");
});

test("whatever is thrown becomes something to read", () => {
  const spillway = new SpillwayError({
    place: "shop/cloud",
    problem: "no room",
    mend: "Make some",
    attribute: ["size"],
  });
  expect(reportsOf(new Diagnostics([new Diagnostic({ summary: "One", path: ["a"] }), spillway]))).toEqual([
    { summary: "One", path: ["a"] },
    { summary: "No room", detail: "At shop/cloud. Make some", path: ["size"] },
  ]);
  expect(reportsOf(new Error("it broke"))).toEqual([{ summary: "It broke" }]);
  expect(reportsOf("just text")).toEqual([{ summary: "Just text" }]);
});

const schema = {
  name: a.string(),
  monitor: a.nested({ path: a.string() }),
  answers: a.nestedList({ weight: a.integer() }),
  users: a.nestedSet({ name: a.string() }),
  sites: a.nestedMap({ endpoint: a.string() }),
  tags: a.map(a.string()),
};

test.each<[(string | number)[], object[] | undefined]>([
  [["name"], [{ attributeName: "name" }]],
  [
    ["monitor", "path"],
    [{ attributeName: "monitor" }, { attributeName: "path" }],
  ],
  [
    ["answers", 1, "weight"],
    [{ attributeName: "answers" }, { elementKeyInt: 1 }, { attributeName: "weight" }],
  ],
  [
    ["sites", "a b", "endpoint"],
    [{ attributeName: "sites" }, { elementKeyString: "a b" }, { attributeName: "endpoint" }],
  ],
  [
    ["tags", "x"],
    [{ attributeName: "tags" }, { elementKeyString: "x" }],
  ],
  // Elements of a set have no address; a wrong path must not lose the message.
  [["users", 0, "name"], [{ attributeName: "users" }]],
  [["monitor", "nonsense"], [{ attributeName: "monitor" }]],
  [["nonsense"], undefined],
  [["name", 3, "x"], [{ attributeName: "name" }]],
])("%p is addressed as far as the schema goes", (path, steps) => {
  expect(diagnosticWire({ summary: "x", path }, schema).attribute?.steps).toEqual(steps);
});

test("no value of a secret is ever told, however deep it is", () => {
  const wrong = () => "is wrong";
  const secrets = {
    a: a.string().sensitive().check(wrong),
    b: a.string().optional().writeOnly().check(wrong),
    c: a.nested({ d: a.string().check(wrong), e: a.list(a.string().check(wrong)) }).sensitive(),
    f: a.map(a.string().sensitive().check(wrong)),
  };
  const value = "tell-nobody";
  const reports = checkConfig(secrets, { a: value, b: value, c: { d: value, e: [value] }, f: { g: value } });
  expect(reports.map(({ summary }) => summary)).toEqual([
    "`a` is wrong",
    "`b` is wrong",
    "`c.d` is wrong",
    "`c.e[0]` is wrong",
    "`f.g` is wrong",
  ]);
  expect(JSON.stringify(reports)).not.toContain(value);
});

test("a deprecated attribute warns with what to use instead, and its checks are still made", () => {
  const old = {
    size: a
      .integer()
      .optional()
      .deprecated("Use `members`.")
      .check((n) => (n > 0 ? undefined : "must be positive")),
  };
  expect(checkConfig(old, { size: 0 })).toEqual([
    { severity: "warning", summary: "`size` is deprecated", detail: "Use `members`.", path: ["size"] },
    { summary: "`size` must be positive, got 0", detail: undefined, path: ["size"] },
  ]);
  expect(checkConfig(old, { size: null })).toEqual([]);
});
