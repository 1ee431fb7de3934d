import { SpillwayError, SpillwayErrors } from "../../../lib/errors";
import { parseParameters } from "../../../lib/desired";

const SHOP = { variable: "shop", onPrem: { site: "onprem" }, cloud: { site: "cloud" } };
const DIGEST = `sha256:${"a".repeat(64)}`;

function problemsOf(text: string, bursts: (typeof SHOP)[] | null = [SHOP]) {
  try {
    parseParameters(text, "desired/shop.tfvars.json", bursts ?? undefined);
  } catch (error) {
    if (error instanceof SpillwayErrors) return error.errors.map((each) => each.report);
    if (error instanceof SpillwayError) return [error.report];
    throw error;
  }
  return [];
}

const shop = (fields: string) => `{ "shop": { ${fields} } }`;
const QUIET = `"burst": false, "cloud_members": 2, "weights": { "onprem": 100 }`;

test("reads a burst's parameters", () => {
  const text = shop(
    `"burst": true, "cloud_members": 3, "weights": {"onprem": 60, "cloud": 40}, "image_digest": "${DIGEST}", "reason": "peak"`,
  );
  expect(parseParameters(text, "f", [SHOP])).toEqual({
    shop: {
      burst: true,
      cloud_members: 3,
      weights: { onprem: 60, cloud: 40 },
      image_digest: DIGEST,
      reason: "peak",
    },
  });
});

test("digest and reason may be left out, as the Terraform variable allows", () => {
  expect(parseParameters(shop(QUIET), "f", [SHOP])["shop"]).toMatchObject({ image_digest: null, reason: "" });
});

test("passes over variables of others, and over bursts that have no parameters yet", () => {
  const text = `{ "region": "eu", "deep": { "burst": [1] } }`;
  expect(parseParameters(text, "f", [SHOP])).toEqual({});
  expect(parseParameters(text, "f")).toEqual({});
});

test("without a manifest, whatever looks like a burst is read, and a misspelt one is not passed over", () => {
  expect(Object.keys(parseParameters(`{ "a": { ${QUIET} }, "b": 1 }`, "f"))).toEqual(["a"]);
  expect(
    problemsOf(`{ "a": { "burst": true, "cloud_members": 1, "weight": {"x": 100} } }`, null),
  ).toHaveLength(2);
});

describe("text that is not JSON is answered with line, column and a mend", () => {
  test.each([
    ["a trailing comma", `{\n  "shop": {\n    "burst": true,\n  }\n}`, ":4:3", "remove the comma"],
    ["a missing comma", `{\n  "shop": 1\n  "x": 2\n}`, ":3:3", '`,` or `}` was expected, got `"`'],
    ["an unquoted key", `{\n shop: 1}`, ":2:2", "a key in double quotes"],
    ["an unquoted word", `{"shop": yes}`, ":1:10", "a value was expected, got `y`"],
    ["an open string", `{"shop": "a\n"}`, ":1:10", "does not end on its line"],
    ["the end too early", `{"shop": {`, ":1:11", "the end of the file"],
    ["text after the end", `{} x`, ":1:4", "the end of the file was expected"],
    ["an empty file", ``, ":1:1", "a value was expected"],
    ["a comment", `// quiet\n{}`, ":1:1", "a value was expected, got `/`"],
    ["a bottomless nest", "[".repeat(100_000), ":1:202", "nested more than 200 deep"],
  ])("%s", (_, text, place, problem) => {
    const problems = problemsOf(text);
    expect(problems).toHaveLength(1);
    expect(problems[0]?.place).toBe(`desired/shop.tfvars.json${place}`);
    expect(problems[0]?.problem).toContain(problem);
  });
});

describe("a wrong value is named with its place, what was got, and the mend", () => {
  test.each([
    [`${QUIET}, "wieghts": {}`, "`shop.wieghts` is not a parameter of a burst", "Did you mean `weights`?"],
    [`${QUIET}, "colour": 1`, "`shop.colour` is not a parameter of a burst", "The parameters are burst"],
    [`${QUIET}, "burst": true`, "`shop.burst` is given twice", "Keep one"],
    [
      `"burst": "false", "cloud_members": 1, "weights": {"onprem": 100}`,
      'must be true or false, got "false"',
      "without quotes",
    ],
    [
      `"burst": false, "cloud_members": 0, "weights": {"onprem": 100}`,
      "at least 1, got 0",
      "set `burst` to false",
    ],
    [
      `"burst": false, "cloud_members": 1.5, "weights": {"onprem": 100}`,
      "whole number of at least 1, got 1.5",
      "",
    ],
    [`"burst": false, "cloud_members": 1, "weights": {}`, "must add up to 100, got 0", "Share out"],
    [
      `"burst": false, "cloud_members": 1, "weights": []`,
      "must be an object, got an array",
      "List each site",
    ],
    [
      `"burst": true, "cloud_members": 1, "weights": {"onprem": 60, "cloud": 30}`,
      "add up to 100, got 90",
      "Share out",
    ],
    [
      `"burst": true, "cloud_members": 1, "weights": {"onprem": 100, "cloud": 0}`,
      "`shop.weights.cloud` is 0",
      "leave it out",
    ],
    [
      `"burst": true, "cloud_members": 1, "weights": {"onprem": 60, "clod": 40}`,
      '"onprem" and "cloud"',
      'Did you mean "cloud"?',
    ],
    [
      `"burst": true, "cloud_members": 1, "weights": {"onprem": 60.5, "cloud": 39.5}`,
      "whole number from 1 to 100, got 60.5",
      "",
    ],
    [
      `"burst": true, "cloud_members": 1, "weights": {"onprem": "100"}`,
      'whole number from 1 to 100, got "100"',
      "",
    ],
    [
      `"burst": false, "cloud_members": 1, "weights": {"onprem": 60, "cloud": 40}`,
      "while `burst` is false",
      "Set `burst` to true",
    ],
    [`"cloud_members": 1, "weights": {"onprem": 100}`, "`shop.burst` is missing", 'Add "burst"'],
    [`${QUIET}, "image_digest": "sha256:ABC"`, 'got "sha256:ABC"', "Use null"],
    [`${QUIET}, "reason": 7`, "must be a text, got 7", "few words"],
  ])("%s", (fields, problem, mend) => {
    const problems = problemsOf(shop(fields));
    const found = problems.find((each) => each.problem.includes(problem));
    expect(found?.mend).toContain(mend);
    expect(found?.place).toMatch(/^desired\/shop\.tfvars\.json:1:\d+$/);
  });
});

test("all that is wrong is reported at once, each at its own line", () => {
  const text = `{
  "shop": {
    "burst": "yes",
    "cloud_members": 0,
    "weights": { "onprem": 50, "moon": 20 },
    "note": 1
  },
  "till": { "burst": true, "cloud_members": 1, "weights": 100 }
}`;
  const places = problemsOf(text, [SHOP, { ...SHOP, variable: "till" }]).map((each) => each.place);
  expect(places.map((place) => place.replace("desired/shop.tfvars.json:", "")).sort()).toEqual(
    ["3:14", "4:22", "5:16", "5:32", "6:5", "8:59"].sort(),
  );
});

test("a variable given twice, and a file that is no object, are refused", () => {
  expect(problemsOf(`{"shop": {${QUIET}},\n "shop": {${QUIET}}}`)).toMatchObject([
    { place: "desired/shop.tfvars.json:2:2", problem: "variable `shop` is given twice" },
  ]);
  expect(problemsOf(`[1]`)[0]?.problem).toContain("must hold an object");
});
