import { resolve } from "node:path";
import { StoreGlance } from "../far";
import { TargetError } from "./errors";
import type { VerifiableTarget } from "./stdio/protocol";

/**
 * The images in a directory, to say what a push would send: the directory is not made, not locked and not changed. Whatever would
 * change it, or read whole images, is refused.
 */
export function glanceAtDirectory(directory: string): VerifiableTarget {
  const path = resolve(directory);
  const store = new StoreGlance(path);
  const refuse = () =>
    Promise.reject(
      new TargetError("invalid", {
        place: path,
        problem: "the directory was opened to be looked at only",
        mend: "Push to it without --dry-run.",
      }),
    );
  return {
    openTransfer: (id, request) => store.openTransfer(id, request),
    fetchIndex: (...args) => store.fetchIndex(...args),
    pinEstimate: (_digest, estimate) => Promise.resolve(estimate),
    ...{ putSegment: refuse, completeTransfer: refuse, verify: refuse },
  };
}
