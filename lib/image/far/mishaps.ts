import type { ProblemReport } from "../../errors";
import { placeOf, placeOfTransfer } from "./refusals";
import type { UnwatchedWork } from "./unwatched";

/*
 * What may go wrong while nobody waits for an answer.
 */

export function unreadable(digest: string): UnwatchedWork {
  return {
    place: placeOf(digest),
    failure: "the image's file is here, but cannot be taken up",
    mend: "It is left as it is: mend the disk, or the rights of its files, and start the agent again.",
  };
}

export function anotherImage(digest: string): ProblemReport {
  return {
    place: placeOf(digest),
    problem: "the file of that name is not the image that it is named after, so it does not count as held",
    mend: "Push the image again; the file was put aside as `.damaged`, if no pool uses it.",
  };
}

export function notResumed(id: string): UnwatchedWork {
  return {
    place: placeOfTransfer(id),
    failure: "what had arrived of it cannot be taken up",
    mend: "It is left as it is: mend the disk, or the rights of its files, and start the agent again, or push the image anew.",
  };
}

export function unusable(id: string): ProblemReport {
  return {
    place: placeOfTransfer(id),
    problem:
      "what had arrived of it is of no use, for its journal is damaged or its file is gone; it was removed",
    mend: "Push the image again: it begins anew. If this comes again, look at the disk.",
  };
}

export function notSwept(digest: string): UnwatchedWork {
  return {
    place: placeOf(digest),
    failure: "what is left of the transfers that brought it cannot be removed",
    mend: "It takes room on the disk until the agent is started again: mend the disk, or the rights of its files.",
  };
}

export function notDropped(id: string): UnwatchedWork {
  return {
    place: placeOfTransfer(id),
    failure: "nobody went on with it for a week, and it cannot be removed",
    mend: "It takes room on the disk until the agent is started again: mend the disk, or the rights of its files.",
  };
}

export const NOT_SETTLED: UnwatchedWork = {
  place: "image store",
  failure: "which images are superseded cannot be told, so none was evicted",
  mend: "It is tried again when the next image is complete, within an hour at the latest: look at the disk.",
};
