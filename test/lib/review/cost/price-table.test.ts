import { SpillwayErrors, type SpillwayError } from "../../../../lib/errors";
import type { JsonValue } from "../../../../lib/review";
import {
  checkPriceTable,
  costOf,
  parsePriceTable,
  PriceBook,
  type PriceTable,
} from "../../../../lib/review/cost";
import { builtInPrices } from "../../../../providers/aws/prices";
import { BUILT_IN, group, modelOf, ROUND, STANDING } from "./plans";

const HEAD = { format: 1, date: "2026-10-01", currency: "USD" } as const;

function mistakes(value: JsonValue): string[] {
  try {
    checkPriceTable(value, "mine.json");
  } catch (error) {
    const errors = error instanceof SpillwayErrors ? error.errors : [error as SpillwayError];
    return errors.map(({ report }) => `${report.place}: ${report.problem}. ${report.mend}`);
  }
  return [];
}

test("a table may hold any part", () => {
  expect(mistakes(HEAD)).toEqual([]);
  expect(mistakes({ ...HEAD, regions: { "eu-north-1": { instances: { "m7i-flex.large": 0 } } } })).toEqual(
    [],
  );
  expect(mistakes(ROUND as unknown as JsonValue)).toEqual([]);
});

test("all mistakes are told at once: where, with the value, and how to mend it", () => {
  const found = mistakes({
    format: 2,
    date: "2026-02-30",
    currency: "$",
    source: "",
    region: {},
    regions: {
      Frankfurt: {},
      "eu-central-1": {
        instances: { "m6i.large": "0.115", "m6i large": 1, "m5.large": -1 },
        volumes: { gp3: 0.08 },
        loadBalancers: { classic: { hour: 1 } },
        dataOutGb: null,
      },
    },
  });
  expect(found).toEqual([
    'mine.json $.format: `format` must be 1, got 2. Begin the table with `"format": 1`.',
    'mine.json $.date: `date` must be the day the prices are of, as YYYY-MM-DD, got "2026-02-30". Write for example `"date": "2026-01-19"`.',
    'mine.json $.currency: `currency` must be three capital letters, got "$". Write for example `"currency": "USD"`.',
    'mine.json $.source: `source` must say where the prices are from, got "". Name it in a few words, or leave it out.',
    "mine.json $.region: this is not known here. Known are `format`, `date`, `currency`, `source`, `assumptions`, `everywhere`, `regions`.",
    'mine.json $.regions.Frankfurt: this is no region: "Frankfurt". Write it as AWS does: "eu-central-1".',
    'mine.json $.regions["eu-central-1"].instances["m6i.large"]: a price or amount (an hour) must be a number of at least 0, got "0.115". Write it as a bare number, without currency. Leave out what is not known: 0 means free.',
    'mine.json $.regions["eu-central-1"].instances["m6i large"]: this is no instance type: "m6i large". Write it as AWS does: "m6i.large".',
    'mine.json $.regions["eu-central-1"].instances["m5.large"]: a price or amount (an hour) must be a number of at least 0, got -1. Write it as a bare number, without currency. Leave out what is not known: 0 means free.',
    'mine.json $.regions["eu-central-1"].volumes.gp3: this must be an object, got 0.08. docs/review.md shows a whole table.',
    'mine.json $.regions["eu-central-1"].loadBalancers.classic: this is not known here. Known are `application`, `network`, `gateway`.',
    'mine.json $.regions["eu-central-1"].dataOutGb: a price or amount (a GB) must be a number of at least 0, got null. Write it as a bare number, without currency. Leave out what is not known: 0 means free.',
  ]);
});

test.each<[string, JsonValue]>([
  ["a list", []],
  ["a text", "prices"],
  ["nothing", null],
])("%s is no table", (_, value) => {
  expect(mistakes(value)).toHaveLength(1);
});

test("what is no JSON is said to be none, with the file's name; a byte order mark is passed over", () => {
  expect(() => parsePriceTable("{", "mine.json")).toThrow(/the price table is no JSON.*at mine\.json/);
  expect(parsePriceTable(`\uFEFF${JSON.stringify(HEAD)}`, "mine.json")).toEqual(HEAD);
});

describe("a user's table", () => {
  const mine: PriceTable = { ...HEAD, regions: { "eu-central-1": { instances: { "m6i.large": 0.05 } } } };
  const book = new PriceBook([{ name: "mine.json", table: mine }, builtInPrices()]);

  test("wins entry by entry, and each line says whose price it is", () => {
    const report = costOf(
      modelOf([STANDING, { address: "aws_autoscaling_group.pool", after: group(2) }]),
      book,
    );
    expect(report.lines.map(({ item, unitPrice, from }) => [item, unitPrice, from.name, from.date])).toEqual([
      ["instance m6i.large", 0.05, "mine.json", "2026-10-01"],
      ["volume gp3", 0.0952, "built in", "2026-01-19"],
    ]);
    expect(report.tables.map(({ name }) => name)).toEqual(["built in", "mine.json"]);
  });

  test("of another currency is not mixed with the built-in one", () => {
    const euros = new PriceBook([
      { name: "mine.json", table: { ...mine, currency: "EUR" } },
      builtInPrices(),
    ]);
    const report = costOf(
      modelOf([STANDING, { address: "aws_autoscaling_group.pool", after: group(2) }]),
      euros,
    );
    expect(report.currency).toBe("EUR");
    expect(report.lines.map(({ item }) => item)).toEqual(["instance m6i.large"]);
    expect(report.unknowns.map(({ item }) => item)).toEqual(["volume gp3"]);
    expect(report.notes).toContain("the prices of built in are left out: they are in USD, not EUR");
  });
});

describe("the built-in table", () => {
  const { table } = builtInPrices();
  const regions = table.regions ?? {};

  test("has four regions, each with the same families", () => {
    expect(Object.keys(regions)).toEqual(["eu-central-1", "eu-west-1", "us-east-1", "us-west-2"]);
    const families = ["c5", "c6i", "c7g", "c7i", "m5", "m6i", "m7g", "m7i", "r5", "r6i", "t3", "t4g"];
    for (const { instances = {} } of Object.values(regions)) {
      expect([...new Set(Object.keys(instances).map((name) => name.split(".")[0]))].sort()).toEqual(families);
    }
  });

  test("a size costs twice the next smaller one, but for the rounding of the price list", () => {
    const sizes = ["micro", "small", "medium", "large", "xlarge", "2xlarge", "4xlarge"];
    for (const { instances = {} } of Object.values(regions)) {
      for (const [name, price] of Object.entries(instances)) {
        const [family, size = ""] = name.split(".");
        const next = instances[`${family}.${sizes[sizes.indexOf(size) + 1]}`];
        if (next !== undefined) expect(Math.abs(next / price - 2)).toBeLessThan(0.003);
      }
    }
  });

  test("no region is cheaper than us-east-1", () => {
    const cheapest = regions["us-east-1"]?.instances ?? {};
    for (const { instances = {} } of Object.values(regions)) {
      for (const [name, price] of Object.entries(instances))
        expect(price).toBeGreaterThanOrEqual(cheapest[name] ?? 0);
    }
    expect(BUILT_IN.find("regions", "us-east-1", "instances", "m6i.large")?.amount).toBe(0.096);
  });
});
