import { changesLine, changesUnknown } from "./cost-of";
import type { PriceSource } from "./price-book";
import type { CostLine, CostReport } from "./report";

/** Days after which prices are no longer taken for today's. */
const STALE_DAYS = 365;
const DAY_MS = 86_400_000;

export interface CostTextOptions {
  /** Today, in milliseconds since 1970: a table older than a year is warned of. @default - its age is not judged */
  readonly now?: number;
  /** Most lines in each list. @default - all */
  readonly lines?: number;
}

/** `about $0.19 an hour more, $138 if it lasted a month`; empty when nothing of cost changes. */
export function costHeadline(report: CostReport): string {
  if (!report.changes) return "";
  const { change, once, currency } = report;
  const unknown = report.unknowns.filter(changesUnknown).length;
  const money = (amount: number) => moneyText(Math.abs(amount), currency);
  const parts: string[] = [];
  if (change.hour !== 0) {
    const hour = `${report.bound} ${money(change.hour)} an hour`;
    parts.push(
      change.hour > 0
        ? `${hour} more, ${money(change.month)} if it lasted a month`
        : `${hour} less, ${money(change.month)} a month`,
    );
  } else if (report.lines.some(changesLine)) parts.push("the cost an hour stays the same");
  if (once > 0) parts.push(`${money(once)} once`);
  if (unknown > 0) parts.push(`${unknown} cost${unknown === 1 ? "" : "s"} not known`);
  return parts.join(", ");
}

/** The lines of a review's section on cost; none when nothing of cost changes. `code` makes a code span of a text. */
export function costSection(
  report: CostReport,
  code: (text: string) => string,
  options: CostTextOptions = {},
): readonly string[] {
  if (!report.changes) return [];
  const { currency } = report;
  const most = options.lines ?? Infinity;
  const money = (amount: number) => moneyText(amount, currency);
  const change = (amount: number) => (amount > 0 ? `+${money(amount)}` : money(amount));
  const changing = report.lines.filter(changesLine);
  const unknowns = report.unknowns.filter(changesUnknown);
  const usage = report.usage.filter(({ changes }) => changes);
  const { before, after, change: difference } = report;
  return [
    "### Cost",
    "",
    "| | before | after | change |",
    "|---|--:|--:|--:|",
    `| an hour | ${money(before.hour)} | ${money(after.hour)} | ${change(difference.hour)} |`,
    `| a month of 730 hours | ${money(before.month)} | ${money(after.month)} | ${change(difference.month)} |`,
    ...(report.once > 0 ? [`| once | | ${money(report.once)} | |`] : []),
    ...listed(
      "Not known, and in none of these sums:",
      unknowns.map(({ address, item, why, mend, before, after }) => {
        const count = before + after === 1 ? "" : ` (${quantity(before)} → ${quantity(after)})`;
        return `- ${code(address)}, ${plain(item)}${count}: ${plain(why)}. ${mend}`;
      }),
      most,
    ),
    ...listed(
      "Charged by use, and not counted:",
      usage.map(({ address, item, unit, unitPrice }) => {
        return `- ${code(address)}, ${plain(item)}: ${exactText(unitPrice, currency)} a ${unit}`;
      }),
      most,
    ),
    ...detailLines(report, changing, code, most),
    "",
    sourcesText(report.tables),
    ...report.tables.flatMap((table) => staleText(table, options.now)),
  ];
}

function listed(title: string, lines: readonly string[], most: number): string[] {
  if (lines.length === 0) return [];
  const shown = lines.slice(0, most);
  const left = lines.length - shown.length;
  return ["", title, "", ...shown, ...(left > 0 ? [`- and ${left} more`] : [])];
}

function detailLines(
  report: CostReport,
  changing: readonly CostLine[],
  code: (text: string) => string,
  most: number,
): string[] {
  const rows = [
    ...changing.map((line) => {
      const { address, item, before, after, unit, unitPrice, per } = line;
      const cells = [
        code(address).replaceAll("|", "\\|"),
        `${plain(item)}${line.ceiling === undefined ? "" : " (at most)"}`,
        `${quantity(before.quantity)} → ${quantity(after.quantity)} ${unit}`,
        `${exactText(unitPrice, report.currency)} a${per === "hour" ? "n hour" : " month"}`,
        signed(after.hour - before.hour, report.currency),
      ];
      return `| ${cells.join(" | ")} |`;
    }),
    ...report.onceLines.map(({ address, item, quantity: count, unit, unitPrice, cost }) => {
      const price = exactText(unitPrice, report.currency);
      const once = `${moneyText(cost, report.currency)} once`;
      return `| ${code(address).replaceAll("|", "\\|")} | ${plain(item)} | ${quantity(count)} ${unit} | ${price} | ${once} |`;
    }),
  ];
  if (rows.length === 0) return [];
  const shown = rows.slice(0, most);
  const left = rows.length - shown.length;
  return [
    "",
    `<details><summary>Cost line by line (${rows.length})</summary>`,
    "",
    "| resource | what | quantity | price of one | an hour |",
    "|---|---|---|--:|--:|",
    ...shown,
    ...(left > 0 ? ["", `and ${left} more`] : []),
    ...(report.notes.length === 0 ? [] : ["", ...report.notes.map((note) => `- ${plain(note)}`)]),
    "",
    "</details>",
  ];
}

/** Text that is partly the plan's or a table's: nothing in it is read as Markdown or HTML, nor ends a line or a table's cell. */
function plain(text: string): string {
  return text.replace(/\s+/g, " ").replace(/[\\`*_[\]<>|&~]/g, "\\$&");
}

function sourcesText(tables: readonly PriceSource[]): string {
  if (tables.length === 0) return "No price was found.";
  const named = tables.map(({ date, name, source }) => `${date} (${plain(source ?? name)})`);
  return `Prices of ${named.join("; ")}.`;
}

function staleText({ date, name }: PriceSource, now: number | undefined): string[] {
  if (now === undefined) return [];
  const days = Math.floor((now - Date.parse(`${date}T00:00:00Z`)) / DAY_MS);
  if (days <= STALE_DAYS) return [];
  return [
    `**These prices are ${days} days old** (${plain(name)}): compare them with the price list, and give newer ones with \`--prices FILE\`.`,
  ];
}

/** `$0.0225`, `$0.19`, `$138`, `EUR 12.50`: as exact as it matters. */
export function moneyText(amount: number, currency: string): string {
  const size = Math.abs(amount);
  const minus = amount < 0 ? "-" : "";
  if (size === 0) return `${sign(currency)}0`;
  if (size < 0.00005) return `${minus}<${sign(currency)}0.0001`;
  const digits = size >= 99.995 ? 0 : size >= 0.0995 ? 2 : 4;
  // Two decimals at least, and of four no zeros at the end.
  const text = size.toFixed(digits).replace(/(\.\d\d\d*?)0+$/, "$1");
  return `${minus}${sign(currency)}${text}`;
}

/** A price as its table has it. */
function exactText(amount: number, currency: string): string {
  return `${sign(currency)}${amount}`;
}

function sign(currency: string): string {
  return currency === "USD" ? "$" : `${currency} `;
}

function signed(amount: number, currency: string): string {
  return amount > 0 ? `+${moneyText(amount, currency)}` : moneyText(amount, currency);
}

function quantity(value: number): string {
  if (value > 0 && value < 0.005) return "<0.01";
  return String(Math.round(value * 100) / 100);
}
