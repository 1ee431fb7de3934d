import { formatClock } from "../../lib/report";
import type { HookEvent } from "../../lib/hook/events";
import type { SiteEvent } from "../../lib/site/api";
import type { Progress } from "../../lib/wait";
import { statusText, type Standing } from "./status-line";
import { hookLine, progressLine, siteLine, type TimelineLine, type Tone } from "./timeline-text";

/** Where a timeline is printed; `process.stdout` is one. */
export interface TimelineStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

export interface TimelineOptions {
  /** The standard output, or the standard error when the standard output is kept for `--json`. */
  readonly stream: TimelineStream;
  /** Milliseconds since 1970; lines carry the time since then. */
  readonly startedAt: number;
  /** For NO_COLOR and TERM. @default process.env */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** @default Date.now */
  readonly now?: () => number;
}

export interface Timeline {
  /** A line of the demo's own. */
  say(label: string, text: string, tone?: Tone, at?: number): void;
  hook(event: HookEvent): void;
  site(site: string, event: SiteEvent): void;
  /** Progress of an apply that is not the hook's. */
  progress(progress: Progress, at?: number): void;
  /** Shown in the last line of a terminal, and nowhere else. */
  status(standing: Standing): void;
  /** Takes the status line away. Idempotent; lines may still follow. */
  end(): void;
}

const LABEL_WIDE = 10;
const TIME_WIDE = 7;
/** A wait is told again when it says something new, but not more often than that. */
const PROGRESS_EVERY_MS = 2_000;
/** A terminal narrower than that gets lines that wrap as they will. */
const NARROWEST = 40;

const COLOURS: Readonly<Record<Tone, string>> = {
  plain: "",
  soft: "\x1b[2m",
  good: "\x1b[32m",
  bad: "\x1b[31m",
  bright: "\x1b[1m",
};

/** Prints a run as it goes: one line per event with the time since the start and, on a terminal, a live status line below them. */
export function createTimeline(options: TimelineOptions): Timeline {
  const { stream, startedAt } = options;
  const environment = options.environment ?? process.env;
  const now = options.now ?? Date.now;
  const isTerminal = stream.isTTY === true && environment.TERM !== "dumb";
  const colour = isTerminal && !environment.NO_COLOR;
  const told = new Map<string, { readonly at: number; readonly text: string }>();
  let status: Standing | undefined;
  let decided = "";

  const width = () =>
    isTerminal && stream.columns && stream.columns >= NARROWEST ? stream.columns : Infinity;
  const clear = () => (isTerminal && status ? "\r\x1b[2K" : "");
  const drawn = () => {
    if (!isTerminal || !status) return "";
    const text = statusText(status, formatClock(now() - startedAt), width() === Infinity ? 79 : width() - 1);
    return colour ? `\x1b[7m${text}\x1b[0m` : text;
  };
  const line = ({ label, text, tone }: TimelineLine, at: number) => {
    const head = `${formatClock(at - startedAt).padStart(TIME_WIDE)}  ${printable(label).padEnd(LABEL_WIDE)}`;
    const indent = " ".repeat(head.length + 1);
    const rows = wrap(printable(text), width() - indent.length - 1);
    const paint = (row: string) => (colour && COLOURS[tone] !== "" ? `${COLOURS[tone]}${row}\x1b[0m` : row);
    const body = rows.map((row, index) => `${index === 0 ? `${head} ` : indent}${paint(row)}\n`).join("");
    stream.write(`${clear()}${body}${drawn()}`);
  };
  const progress = (one: Progress, at: number) => {
    const key = `${one.step} ${one.subject}`;
    const before = told.get(key);
    const shown = progressLine(one);
    if (before && (at - before.at < PROGRESS_EVERY_MS || before.text === shown.text)) return;
    told.set(key, { at, text: shown.text });
    line(shown, at);
  };

  return {
    say: (label, text, tone = "plain", at = now()) => line({ label, text, tone }, at),
    hook(event) {
      if (event.kind === "progress") return progress(event.progress, event.progress.at);
      const shown = hookLine(event);
      if (!shown) return;
      // A decision is made again at every observation until it is in force; its figures differ, what it asks for does not.
      if (event.kind === "decided") {
        const same = JSON.stringify([event.decision.action, event.decision.desired]);
        if (same === decided) return;
        decided = same;
      }
      line(shown, event.at);
    },
    site: (site, event) => line(siteLine(site, event), event.at),
    progress: (one, at = now()) => progress(one, at),
    status(standing) {
      const cleared = clear();
      status = standing;
      if (isTerminal) stream.write(`${cleared}${drawn()}`);
    },
    end() {
      stream.write(clear());
      status = undefined;
    },
  };
}

/** Text from elsewhere must not move the cursor or break the line; digests are told by their first digits. */
function printable(text: string): string {
  return text
    .replace(/[\r\n\t]+/g, " ")
    .replace(/[^\x20-\x7e\u00a1-\uffff]/g, "")
    .replace(/sha256:([0-9a-f]{8})[0-9a-f]{56}/g, "sha256:$1")
    .trim();
}

/** Breaks at spaces; a word that is longer than the line is broken where it must. */
export function wrap(text: string, columns: number): readonly string[] {
  if (text.length <= columns) return [text];
  const rows: string[] = [];
  let rest = text;
  while (rest.length > columns) {
    const space = rest.lastIndexOf(" ", columns);
    const cut = space > columns / 3 ? space : columns;
    rows.push(rest.slice(0, cut));
    rest = rest.slice(cut).trimStart();
  }
  if (rest !== "") rows.push(rest);
  return rows;
}
