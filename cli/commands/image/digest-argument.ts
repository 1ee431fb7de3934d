import { SpillwayError } from "../../../lib/errors";
import { UsageError } from "../../output";

/** A digest as it is typed: with `sha256:` or without. @throws UsageError */
export function digestArgument(text: string): string {
  const match = /^(?:sha256:)?([0-9a-f]{64})$/i.exec(text);
  if (match) return `sha256:${match[1].toLowerCase()}`;
  throw new UsageError(
    new SpillwayError({
      place: "<digest>",
      problem: `"${text}" is not an image digest`,
      mend: "Write it as sha256: and 64 hex digits, as `spillway image index FILE` prints it.",
    }),
  );
}
