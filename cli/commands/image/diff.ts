import { formatBytes } from "../../../lib/duration";
import { indexImage } from "../../../lib/image/near";
import { EXIT, jsonLine, table } from "../../output";
import { commandContext } from "./context";
import { diffImages } from "./diff-images";

export interface DiffOptions {
  readonly oldFile: string;
  readonly newFile: string;
  readonly exact?: boolean;
  /** Of both. @default qcow2 where a file begins with its magic, else raw */
  readonly format?: "raw" | "qcow2";
  readonly json?: boolean;
}

/** Says what a new image would send to a place that holds an old one. */
export async function run({ oldFile, newFile, exact, format, json }: DiffOptions): Promise<number> {
  const { context, display } = commandContext();
  try {
    const old = await indexImage({ source: oldFile, exact, format, context });
    const fresh = await indexImage({ source: newFile, exact, format, context });
    const parts = await diffImages(old, fresh);
    display.end();
    const sum = (of: "sameBytes" | "newBytes") => parts.reduce((total, part) => total + part[of], 0);
    const [sameBytes, newBytes] = [sum("sameBytes"), sum("newBytes")];
    const about = ({ digest, sizeBytes, inUseBytes }: typeof old) => ({ digest, sizeBytes, inUseBytes });
    process.stdout.write(
      json
        ? jsonLine({ ok: true, old: about(old), new: about(fresh), sameBytes, newBytes, parts })
        : `${text(parts)}\n\n${newFile} would send ${formatBytes(newBytes)} (before packing) of ${formatBytes(fresh.inUseBytes)}; ${formatBytes(sameBytes)} are in ${oldFile}\n`,
    );
    return EXIT.ok;
  } finally {
    display.end();
  }
}

function text(parts: Awaited<ReturnType<typeof diffImages>>): string {
  return table([
    ["OFFSET", "SIZE", "KIND", "SAME", "NEW"],
    ...parts.map(({ offset, length, kind, sameBytes, newBytes }) => [
      String(offset),
      formatBytes(length),
      kind,
      formatBytes(sameBytes),
      formatBytes(newBytes),
    ]),
  ]);
}
