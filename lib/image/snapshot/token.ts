import { createHash } from "node:crypto";
import type { StartRequest } from "./service";

/**
 * The token of a request: the same for the same request, so that one whose answer was lost makes no second snapshot, from whichever
 * machine it is sent again.
 * @param salt changes when what the token made is no more
 */
export function tokenOf(request: Omit<StartRequest, "token">, salt: string): string {
  const { volumeGib, description, tags, parentId, encrypted, kmsKeyId } = request;
  const sorted = Object.entries(tags).sort(([one], [other]) => (one < other ? -1 : 1));
  const what = [volumeGib, description, sorted, parentId ?? null, encrypted ?? null, kmsKeyId ?? null, salt];
  return createHash("sha256").update(JSON.stringify(what)).digest("hex");
}
