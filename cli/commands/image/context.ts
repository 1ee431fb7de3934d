import { formatDuration } from "../../../lib/duration";
import type { Progress, StepContext } from "../../../lib/wait";
import { interruptSignal, printable } from "../../output";

const LINE_EVERY_MS = 5_000;
const BAR_WIDE = 24;

/** Shows how far a transfer is, on standard error. */
export interface ProgressDisplay {
  readonly progress: (progress: Progress) => void;
  /** A line of its own, above the bar if there is one. */
  readonly tell: (line: string) => void;
  /** Takes the bar away. */
  readonly end: () => void;
}

/** A bar on a terminal, else a line every five seconds. */
export function progressDisplay(stream: NodeJS.WriteStream = process.stderr): ProgressDisplay {
  return stream.isTTY ? barOn(stream) : linesOn(stream);
}

function barOn(stream: NodeJS.WriteStream): ProgressDisplay {
  let shown = false;
  const clear = () => {
    if (shown) stream.write("\r\x1b[K");
    shown = false;
  };
  return {
    progress: (progress) => {
      // One column is kept free: a full line would wrap.
      stream.write(`\r\x1b[K${barText(progress, (stream.columns || 80) - 1)}`);
      shown = true;
    },
    tell: (line) => {
      clear();
      stream.write(`${printable(line)}\n`);
    },
    end: clear,
  };
}

function linesOn(stream: NodeJS.WriteStream): ProgressDisplay {
  let last = -Infinity;
  return {
    progress: (progress) => {
      if (Date.now() - last < LINE_EVERY_MS) return;
      last = Date.now();
      stream.write(`${lineText(progress)}\n`);
    },
    tell: (line) => void stream.write(`${printable(line)}\n`),
    end: () => undefined,
  };
}

/** `[#####-----] 42 %  ETA 12.0 s  …`; what does not fit is cut off at the right. */
export function barText({ message: told, fraction, etaMs }: Progress, columns: number): string {
  // Of another line there would be nothing taken away.
  const message = printable(told).replace(/\s/g, " ");
  if (fraction === undefined) return message.slice(0, columns);
  const full = Math.round(Math.min(1, fraction) * BAR_WIDE);
  const bar = `[${"#".repeat(full)}${"-".repeat(BAR_WIDE - full)}] ${String(Math.floor(fraction * 100)).padStart(3)} %`;
  return `${bar}${eta(etaMs)}  ${message}`.slice(0, columns);
}

/** The same without the bar. */
export function lineText({ message, fraction, etaMs }: Progress): string {
  return `${fraction === undefined ? "" : `${Math.floor(fraction * 100)} %: `}${printable(message)}${eta(etaMs)}`;
}

function eta(etaMs: number | undefined): string {
  return etaMs === undefined ? "" : `  ETA ${formatDuration(etaMs)}`;
}

/** What a command gives to what it calls: Ctrl-C, and somewhere to tell how far it is. */
export function commandContext(): { readonly context: StepContext; readonly display: ProgressDisplay } {
  const display = progressDisplay();
  return { display, context: { signal: interruptSignal(), progress: display.progress } };
}
