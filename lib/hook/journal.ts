import {
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import type { DesiredParameters } from "../desired/parameters";
import type { Decision, PolicyState, Refusal } from "../policy";
import type { ProcessHandle } from "../process-identity";

/** One line of the journal. `seq` grows by one, `at` is milliseconds since 1970. */
export type JournalEntry = { readonly seq: number; readonly at: number } & JournalFact;

export type JournalFact =
  | { readonly kind: "started"; readonly mode: "apply" | "propose"; readonly pid: number }
  /** A decision that changes something, and what is remembered after it. */
  | { readonly kind: "decided"; readonly decision: Decision; readonly state: PolicyState }
  /** What is remembered, now and then. */
  | { readonly kind: "remembered"; readonly state: PolicyState }
  | { readonly kind: "adopted"; readonly parameters: DesiredParameters; readonly state: PolicyState }
  /** What is about to be planned, checked, written and applied. */
  | { readonly kind: "intended"; readonly parameters: DesiredParameters }
  | { readonly kind: "planned"; readonly summary: string }
  | { readonly kind: "refused"; readonly refusals: readonly Refusal[] }
  | { readonly kind: "flipped"; readonly parameters: DesiredParameters }
  | {
      readonly kind: "proposed";
      readonly parameters: DesiredParameters;
      readonly branch: string;
      readonly commit: string;
    }
  | { readonly kind: "applying"; readonly terraform: ProcessHandle }
  | { readonly kind: "applied"; readonly changed: boolean; readonly state: PolicyState }
  | { readonly kind: "aborted"; readonly why: string }
  | { readonly kind: "failed"; readonly problem: string; readonly failures: number }
  | { readonly kind: "verified"; readonly inForce: boolean; readonly detail: string }
  /** The image was brought nearer in the background. */
  | ({ readonly kind: "pre-positioned" } & PrePositioned)
  | { readonly kind: "pre-position-stopped"; readonly why: string }
  | { readonly kind: "pre-position-failed"; readonly problem: string; readonly failures: number }
  | { readonly kind: "stopped" };

/** What a background transfer did. */
export interface PrePositioned {
  readonly doneAt: number;
  /** By which the image file is known again. */
  readonly source: string;
  readonly digest: string;
  readonly sizeBytes: number;
  /** Bytes that crossed the link when the image was changed last, and the most that ever did. */
  readonly sentBytes: number;
  readonly mostSentBytes: number;
  /** What it was allowed, bits per second; undefined: all. */
  readonly capBps?: number;
  /** What the link was known to carry before, bits per second. */
  readonly linkBps: number;
  /** Earlier images that were brought there in this way and are still there, as far as is known. */
  readonly superseded: readonly string[];
}

/** What a journal says to one who starts again. */
export interface Recovered {
  readonly state?: PolicyState;
  /** The parameters file as the hook wrote or found it last. */
  readonly parameters?: DesiredParameters;
  /** The parameters of the last proposal. */
  readonly proposed?: DesiredParameters;
  /** An apply that was begun and whose end was not seen. */
  readonly applying?: ProcessHandle;
  readonly prePositioned?: PrePositioned;
  readonly lastSeq: number;
}

/** A journal beyond this is begun anew, the old one kept beside it as `.1`. */
const LARGEST_BYTES = 4 * 1024 * 1024;

/** The hook's memory: an append-only file of JSON lines, synced to disk line by line. */
export class Journal {
  private handle: number;
  private size: number;
  private seq: number;

  private constructor(
    private readonly file: string,
    private readonly largestBytes: number,
    /** What was found in it. */
    readonly recovered: Recovered,
    keep: number,
  ) {
    this.handle = openSync(file, "a", 0o600);
    // A line that was cut off by a crash would swallow the next one.
    ftruncateSync(this.handle, keep);
    this.size = keep;
    this.seq = recovered.lastSeq;
  }

  /** Opens or creates a journal. A torn last line is cut off; a line that is none is passed over. */
  static open(file: string, options: { readonly largestBytes?: number } = {}): Journal {
    mkdirSync(dirname(file), { recursive: true });
    const { entries, keep } = readJournal(file);
    const before = entries.length === 0 ? readJournal(`${file}.1`).entries : [];
    return new Journal(file, options.largestBytes ?? LARGEST_BYTES, recover([...before, ...entries]), keep);
  }

  append(fact: JournalFact, at: number): void {
    this.seq += 1;
    const line = Buffer.from(`${JSON.stringify({ seq: this.seq, at, ...fact })}\n`);
    writeSync(this.handle, line);
    fsyncSync(this.handle);
    this.size += line.length;
  }

  /** Begins a new file if this one has grown large; `facts` are what must not be lost. */
  rotateIfLarge(facts: readonly JournalFact[], at: number): void {
    if (this.size < this.largestBytes) return;
    closeSync(this.handle);
    renameSync(this.file, `${this.file}.1`);
    this.handle = openSync(this.file, "a", 0o600);
    this.size = 0;
    for (const fact of facts) this.append(fact, at);
  }

  close(): void {
    closeSync(this.handle);
  }
}

/** The entries of a journal, oldest first, and how many bytes of whole lines it has. */
export function readJournal(file: string): { entries: JournalEntry[]; keep: number } {
  if (!existsSync(file) || !statSync(file).isFile()) return { entries: [], keep: 0 };
  const bytes = readFileSync(file);
  const keep = bytes.lastIndexOf(0x0a) + 1;
  const entries = bytes
    .subarray(0, keep)
    .toString("utf8")
    .split("\n")
    .map(parseEntry)
    .filter((entry) => entry !== undefined);
  return { entries, keep };
}

function parseEntry(line: string): JournalEntry | undefined {
  try {
    const value = JSON.parse(line) as Partial<JournalEntry> | null;
    if (value === null || typeof value !== "object") return undefined;
    return typeof value.kind === "string" && typeof value.seq === "number"
      ? (value as JournalEntry)
      : undefined;
  } catch {
    return undefined;
  }
}

function recover(entries: readonly JournalEntry[]): Recovered {
  let recovered: Recovered = { lastSeq: 0 };
  for (const entry of entries) recovered = { ...fold(recovered, entry), lastSeq: entry.seq };
  return recovered;
}

function fold(before: Recovered, entry: JournalEntry): Recovered {
  switch (entry.kind) {
    case "decided":
    case "remembered":
      return { ...before, state: known(entry.state) };
    case "adopted":
      return { ...before, state: known(entry.state), parameters: entry.parameters };
    case "flipped":
      return { ...before, parameters: entry.parameters };
    case "proposed":
      return { ...before, proposed: entry.parameters };
    case "applying":
      return { ...before, applying: entry.terraform };
    case "applied":
      return { ...before, applying: undefined, state: known(entry.state) };
    case "aborted":
    case "failed":
      return { ...before, applying: undefined };
    case "pre-positioned":
      return { ...before, prePositioned: entry };
    default:
      return before;
  }
}

/** A state of a later version is not guessed at. */
function known(state: PolicyState): PolicyState | undefined {
  return state.version === 1 ? state : undefined;
}
