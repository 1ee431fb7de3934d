import { closeSync, openSync, readSync } from "node:fs";
import { StringDecoder } from "node:string_decoder";

/** Follows a file that grows, line by line. */
export interface Tail {
  /** Reads what is there now, and stops. An unfinished last line is handed out too. */
  end(): void;
}

/**
 * Hands out each line of `file` as it is written, also if the file comes later. A file and not a pipe, so that the one who writes it
 * is not killed with the one who reads.
 */
export function tail(file: string, onLine: (line: string) => void, intervalMs = 40): Tail {
  const decoder = new StringDecoder("utf8");
  const buffer = Buffer.allocUnsafe(64 * 1024);
  let handle: number | undefined;
  let position = 0;
  let rest = "";
  const read = () => {
    handle ??= tryOpen(file);
    if (handle === undefined) return;
    for (;;) {
      const count = readSync(handle, buffer, 0, buffer.length, position);
      if (count === 0) return;
      position += count;
      const lines = (rest + decoder.write(buffer.subarray(0, count))).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) onLine(line);
    }
  };
  const timer = setInterval(read, intervalMs);
  timer.unref();
  return {
    end() {
      clearInterval(timer);
      read();
      if (rest !== "") onLine(rest);
      rest = "";
      if (handle !== undefined) closeSync(handle);
      handle = undefined;
    },
  };
}

function tryOpen(file: string): number | undefined {
  try {
    return openSync(file, "r");
  } catch {
    return undefined;
  }
}
