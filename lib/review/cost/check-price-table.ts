import { messageOf, SpillwayError, throwProblems, type ProblemReport } from "../../errors";
import { asObject, type JsonObject, type JsonValue } from "../json";
import type { PriceTable } from "./price-table";

/** The form of a part of the table: a price, a map of like parts, or an object of named parts. */
type Form =
  | { readonly kind: "amount"; readonly unit: string }
  | { readonly kind: "map"; readonly key: string; readonly of: Form }
  | { readonly kind: "object"; readonly parts: Readonly<Record<string, Form>> };

const amount = (unit: string): Form => ({ kind: "amount", unit });
const map = (key: string, of: Form): Form => ({ kind: "map", key, of });
const object = (parts: Readonly<Record<string, Form>>): Form => ({ kind: "object", parts });

const BALANCER = object({ hour: amount("an hour"), capacityUnitHour: amount("an hour of a capacity unit") });

const FORM = {
  assumptions: object({
    capacityUnits: amount("capacity units"),
    dataOutGbPerHour: amount("GB an hour"),
    millionQueriesPerMonth: amount("million queries a month"),
  }),
  everywhere: object({
    healthCheckMonth: object({
      aws: amount("a month"),
      other: amount("a month"),
      awsOption: amount("a month"),
      otherOption: amount("a month"),
    }),
    hostedZoneMonth: amount("a month"),
    queriesPerMillion: amount("a million"),
    alarmMonth: amount("a month"),
    metricMonth: amount("a month"),
  }),
  regions: map(
    "region",
    object({
      instances: map("instance type", amount("an hour")),
      volumes: map(
        "volume type",
        object({
          gbMonth: amount("a GB and month"),
          iopsMonth: amount("an IOPS and month"),
          throughputMonth: amount("a MiB/s and month"),
        }),
      ),
      snapshotGbMonth: amount("a GB and month"),
      snapshotPutPer1000: amount("a thousand blocks"),
      loadBalancers: object({ application: BALANCER, network: BALANCER, gateway: BALANCER }),
      publicIpv4Hour: amount("an hour"),
      dataInGb: amount("a GB"),
      dataOutGb: amount("a GB"),
    }),
  ),
} as const satisfies Record<string, Form>;

const KEYS: Readonly<Record<string, RegExp>> = {
  region: /^[a-z]{2,}(-[a-z]+)+-\d+$/,
  "instance type": /^[a-z][a-z0-9-]*\.[a-z0-9-]+$/,
  "volume type": /^[a-z][a-z0-9]*$/,
};
const EXAMPLES: Readonly<Record<string, string>> = {
  region: "eu-central-1",
  "instance type": "m6i.large",
  "volume type": "gp3",
};

const HEAD = ["format", "date", "currency", "source"];

/**
 * Reads a price table.
 * @param place what it is called in errors: the file's name
 * @throws SpillwayError, or SpillwayErrors with all mistakes at once: JSON path, value, mend
 */
export function parsePriceTable(text: string, place: string): PriceTable {
  let value: JsonValue;
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, "")) as JsonValue;
  } catch (error) {
    throw new SpillwayError({
      place,
      problem: `the price table is no JSON: ${messageOf(error)}`,
      mend: "Mend it there; docs/review.md shows one.",
    });
  }
  return checkPriceTable(value, place);
}

/**
 * Checks what was read from JSON.
 * @throws SpillwayError, or SpillwayErrors with all mistakes at once
 */
export function checkPriceTable(value: JsonValue, place: string): PriceTable {
  const problems: ProblemReport[] = [];
  const tell = (path: string, problem: string, mend: string) =>
    problems.push({ place: `${place} ${path}`, problem, mend });
  const table = asObject(value);
  if (!table) {
    tell("$", `a price table is an object, got ${shown(value)}`, "docs/review.md shows one.");
  } else {
    checkHead(table, tell);
    const parts: Readonly<Record<string, Form>> = FORM;
    for (const key of Object.keys(table)) {
      const form = Object.hasOwn(parts, key) ? parts[key] : undefined;
      if (form) walk(form, table[key] as JsonValue, `$${step(key)}`, tell);
      else if (!HEAD.includes(key)) unknownKey(`$${step(key)}`, [...HEAD, ...Object.keys(parts)], tell);
    }
  }
  throwProblems(problems);
  return value as unknown as PriceTable;
}

type Tell = (path: string, problem: string, mend: string) => void;

function checkHead(table: JsonObject, tell: Tell): void {
  const { format, date, currency, source } = table;
  if (format !== 1) {
    tell("$.format", `\`format\` must be 1, got ${shown(format)}`, 'Begin the table with `"format": 1`.');
  }
  if (typeof date !== "string" || !isDay(date)) {
    tell(
      "$.date",
      `\`date\` must be the day the prices are of, as YYYY-MM-DD, got ${shown(date)}`,
      'Write for example `"date": "2026-01-19"`.',
    );
  }
  if (typeof currency !== "string" || !/^[A-Z]{3}$/.test(currency)) {
    tell(
      "$.currency",
      `\`currency\` must be three capital letters, got ${shown(currency)}`,
      'Write for example `"currency": "USD"`.',
    );
  }
  if (source !== undefined && (typeof source !== "string" || source.trim() === "")) {
    tell(
      "$.source",
      `\`source\` must say where the prices are from, got ${shown(source)}`,
      "Name it in a few words, or leave it out.",
    );
  }
}

function walk(form: Form, value: JsonValue, path: string, tell: Tell): void {
  if (form.kind === "amount") {
    if (typeof value === "number" && Number.isFinite(value) && value >= 0) return;
    tell(
      path,
      `a price or amount (${form.unit}) must be a number of at least 0, got ${shown(value)}`,
      "Write it as a bare number, without currency. Leave out what is not known: 0 means free.",
    );
    return;
  }
  const entries = asObject(value);
  if (!entries) {
    tell(path, `this must be an object, got ${shown(value)}`, "docs/review.md shows a whole table.");
    return;
  }
  for (const [key, inner] of Object.entries(entries)) {
    const here = `${path}${step(key)}`;
    if (form.kind === "object") {
      const part = Object.hasOwn(form.parts, key) ? form.parts[key] : undefined;
      if (part) walk(part, inner, here, tell);
      else unknownKey(here, Object.keys(form.parts), tell);
    } else if (KEYS[form.key]?.test(key)) walk(form.of, inner, here, tell);
    else {
      tell(
        here,
        `this is no ${form.key}: ${JSON.stringify(key)}`,
        `Write it as AWS does: ${JSON.stringify(EXAMPLES[form.key])}.`,
      );
    }
  }
}

function unknownKey(path: string, known: readonly string[], tell: Tell): void {
  tell(path, "this is not known here", `Known are ${known.map((key) => `\`${key}\``).join(", ")}.`);
}

function isDay(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false;
  const time = Date.parse(`${text}T00:00:00Z`);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(text);
}

function step(key: string): string {
  return /^[A-Za-z_][\w]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}

function shown(value: JsonValue | undefined): string {
  if (value === undefined) return "nothing";
  const text = JSON.stringify(value);
  return text.length <= 60 ? text : `${text.slice(0, 60)}…`;
}
