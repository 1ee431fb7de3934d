import type { Readable, Writable } from "node:stream";
import { SpillwayError, messageOf } from "../../../errors";
import { FormatError } from "../../errors";
import type { TakePiece } from "../../wire/target";
import type { TargetErrorCode } from "../errors";
import { readFrames, writeFrame, type Frame } from "./frames";
import {
  BUSY_EVERY_MS,
  REQUEST_LIMITS,
  type Answer,
  type Hello,
  type Problem,
  type Request,
  type VerifiableTarget,
} from "./protocol";

/**
 * Answers one near side, request by request, until it hangs up. Ends without an error also when the line breaks.
 * @param hello said first
 */
export async function serveConnection(
  line: { readonly input: Readable; readonly output: Writable },
  store: VerifiableTarget,
  hello: Hello,
): Promise<void> {
  const { input, output } = line;
  // A near side that is gone is found by the next write or read.
  output.on("error", () => undefined);
  try {
    await writeFrame(output, hello);
    for await (const frame of readFrames(input, REQUEST_LIMITS)) {
      const voice = new Voice(output);
      const answer = await voice.whileBusy(() =>
        answerTo(frame, store, (part) => voice.say({ part: true }, part)),
      );
      await voice.say(answer);
    }
  } catch (error) {
    if (!output.destroyed && output.writable) await refuse(output, error);
  }
}

/** Tells why nothing can be served, as the first and only word. */
export async function refuse(output: Writable, error: unknown): Promise<void> {
  const answer: Answer = { ok: false, problem: problemOf(error) };
  await writeFrame(output, answer).catch(() => undefined);
}

/** Says one thing after the other: parts of an answer, and in between that it is still at work. */
class Voice {
  private last: Promise<void> = Promise.resolve();

  constructor(private readonly output: Writable) {}

  say(answer: Answer, body?: Uint8Array): Promise<void> {
    const said = this.last.then(() => writeFrame(this.output, answer, body));
    this.last = said.catch(() => undefined);
    return said;
  }

  async whileBusy<T>(work: () => Promise<T>): Promise<T> {
    const timer = setInterval(() => this.say({ busy: true }).catch(() => undefined), BUSY_EVERY_MS);
    try {
      return await work();
    } finally {
      clearInterval(timer);
    }
  }
}

async function answerTo(frame: Frame, store: VerifiableTarget, give: TakePiece): Promise<Answer> {
  try {
    const request = (frame.head ?? {}) as Request;
    if (request.ask === "index") {
      return { ok: true, value: await store.fetchIndex(request.digest, give) };
    }
    return { ok: true, value: await valueOf(request, frame.body, store) };
  } catch (error) {
    return { ok: false, problem: problemOf(error) };
  }
}

function valueOf(
  request: Exclude<Request, { ask: "index" }>,
  body: Buffer,
  store: VerifiableTarget,
): Promise<unknown> {
  switch (request.ask) {
    case "open":
      return store.openTransfer(request.id, request.request);
    case "segment":
      return store.putSegment(request.id, request.segmentId, body);
    case "complete":
      return store.completeTransfer(request.id, request.digest);
    case "verify":
      return store.verify(request.digest);
    default:
      throw new SpillwayError({
        place: "request",
        problem: `nobody knows the request ${JSON.stringify((request as { ask?: unknown } | null)?.ask)}`,
        mend: "Install the same version of Spillway at both ends.",
      });
  }
}

function problemOf(error: unknown): Problem {
  if (error instanceof FormatError) {
    const mend = "Send it again.";
    return { code: "image-corrupt", place: error.what, problem: messageOf(error), mend };
  }
  const code = (error as { code?: unknown } | undefined)?.code;
  if (error instanceof SpillwayError) {
    const { place, problem, mend } = error.report;
    return { code: typeof code === "string" ? (code as TargetErrorCode) : "invalid", place, problem, mend };
  }
  const mend = "Look at the disk of the image store, then try again; what has arrived is kept.";
  return { code: "internal", place: "image store", problem: messageOf(error), mend };
}
