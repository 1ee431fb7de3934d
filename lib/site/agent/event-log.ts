import { closeSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from "node:fs";
import type { SiteEvent, SiteEvents } from "../api";

const KEPT = 10_000;

/** What the site did, in order. Each event is in the file before anybody is told. */
export class EventLog {
  private events: SiteEvent[];
  private file: number;
  private written: number;

  constructor(
    private readonly path: string,
    private readonly log: (line: string) => void,
  ) {
    const all = read(path);
    this.events = all.slice(-KEPT);
    this.written = all.length;
    this.file = openSync(path, "a", 0o600);
    if (all.length > 0) writeSync(this.file, "\n"); // The last line may have been cut off.
  }

  add(kind: SiteEvent["kind"], subject: string, detail: string): void {
    const event = { seq: this.last + 1, at: Date.now(), kind, subject, detail };
    writeSync(this.file, `${JSON.stringify(event)}\n`);
    this.events.push(event);
    if (++this.written >= 2 * KEPT) this.compact();
    this.log(`${kind} ${subject}${detail ? `: ${detail}` : ""}`);
  }

  /** Events after `seq`, oldest first. */
  after(seq: number): SiteEvents {
    const first = this.events.findIndex((event) => event.seq > seq);
    return { events: first < 0 ? [] : this.events.slice(first), last: this.last };
  }

  close(): void {
    closeSync(this.file);
  }

  private get last(): number {
    return this.events.at(-1)?.seq ?? 0;
  }

  private compact(): void {
    this.events = this.events.slice(-KEPT);
    writeFileSync(`${this.path}.new`, this.events.map((event) => `${JSON.stringify(event)}\n`).join(""), {
      mode: 0o600,
    });
    renameSync(`${this.path}.new`, this.path);
    closeSync(this.file);
    this.file = openSync(this.path, "a", 0o600);
    this.written = this.events.length;
  }
}

/** Lines that are no events (cut off by a kill) are passed over. */
function read(path: string): SiteEvent[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  return text.split("\n").flatMap((line) => {
    try {
      const event = JSON.parse(line) as SiteEvent;
      return typeof event.seq === "number" ? [event] : [];
    } catch {
      return [];
    }
  });
}
