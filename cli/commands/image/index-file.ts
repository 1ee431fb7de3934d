import { formatBytes } from "../../../lib/duration";
import { indexImage } from "../../../lib/image/near";
import { EXIT, jsonLine } from "../../output";
import { commandContext } from "./context";
import { partsTable } from "./parts";

export interface IndexFileOptions {
  readonly file: string;
  readonly exact?: boolean;
  readonly format?: "raw" | "qcow2";
  readonly json?: boolean;
}

/** Reads an image and says what it is. */
export async function run({ file, exact, format, json }: IndexFileOptions): Promise<number> {
  const { context, display } = commandContext();
  const found = await indexImage({ source: file, exact, format, context }).finally(() => display.end());
  const { digest, sizeBytes, inUseBytes, parts, fromCache } = found;
  process.stdout.write(
    json
      ? jsonLine({ ok: true, file, digest, sizeBytes, inUseBytes, parts, fromCache })
      : `${digest}\n${formatBytes(sizeBytes)}, ${formatBytes(inUseBytes)} of it ${exact ? "not holes" : "in use"}\n\n${partsTable(parts)}\n`,
  );
  return EXIT.ok;
}
