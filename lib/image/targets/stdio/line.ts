import type { Readable, Writable } from "node:stream";
import { AbortedError, messageOf } from "../../../errors";
import { sleep } from "../../../wait";
import type { TakePiece, TargetCallOptions } from "../../wire/target";
import { TargetError } from "../errors";
import { NotAFrame, readFrames, writeFrame, type Frame } from "./frames";
import { ANSWER_LIMITS, PROTOCOL, SILENCE_MS, type Answer, type Hello, type Request } from "./protocol";

/** Whatever carries the messages: a process's pipes. */
export interface Carrier {
  readonly input: Writable;
  readonly output: Readable;
  /** Of the far side, for errors. */
  readonly place: string;
  /** Why the line ended, if that is known: it is asked after it did. */
  readonly whyEnded: () => Promise<TargetError | undefined>;
  /** Ends it at once. Idempotent. */
  readonly kill: () => void;
}

/** The near end of one line: one request at a time. A line on which anything failed is not used again. */
export class Line {
  private isBroken = false;
  private heardAt = Date.now();

  private constructor(
    private readonly carrier: Carrier,
    private readonly frames: AsyncGenerator<Frame, void>,
    /** How the far side greeted. */
    readonly hello: Hello,
    private readonly silenceMs: number,
  ) {
    carrier.output.once("close", () => (this.isBroken = true));
  }

  /**
   * Waits for the far side's greeting.
   * @param silenceMs later on, a far side that says nothing for so long is given up
   * @throws TargetError saying why there was none
   * @throws AbortedError
   */
  static async open(
    carrier: Carrier,
    deadlineMs: number,
    signal?: AbortSignal,
    silenceMs = SILENCE_MS,
  ): Promise<Line> {
    const frames = readFrames(carrier.output, ANSWER_LIMITS);
    carrier.input.on("error", () => undefined);
    try {
      const frame = await within(next(frames), deadlineMs, signal, () => slow(carrier.place, deadlineMs));
      const { head } = frame as { head: Hello | Answer };
      if (typeof head === "object" && head !== null && "ok" in head && !head.ok)
        throw refusal(head.problem, carrier.place);
      return new Line(carrier, frames, requireHello(head as Partial<Hello>, carrier.place), silenceMs);
    } catch (error) {
      const told = await explain(error, carrier, "begin");
      carrier.kill();
      throw told;
    }
  }

  /** Can it be used for another request? */
  get isUsable(): boolean {
    return !this.isBroken;
  }

  close(): void {
    this.isBroken = true;
    this.carrier.kill();
  }

  /**
   * Asks and waits for the answer, however long the far side says that it works on it.
   * @param take is given the parts that come before the answer
   * @throws TargetError
   * @throws AbortedError, and the line is gone
   */
  async ask(
    request: Request,
    bytes: Uint8Array | undefined,
    { signal, pace }: TargetCallOptions = {},
    take?: TakePiece,
  ): Promise<unknown> {
    const { carrier } = this;
    this.heardAt = Date.now();
    const onProgress = () => (this.heardAt = Date.now());
    let answer: Extract<Answer, { ok: boolean }>;
    try {
      const work = async () => {
        await writeFrame(carrier.input, request, bytes, { signal, pace, onProgress });
        onProgress();
        return this.answer(take);
      };
      answer = await this.whileHeard(work(), signal);
    } catch (error) {
      this.isBroken = true;
      const told = await explain(error, carrier, "answer");
      carrier.kill();
      throw told;
    }
    if (!answer.ok) throw refusal(answer.problem, carrier.place);
    return answer.value;
  }

  private async answer(take: TakePiece | undefined): Promise<Extract<Answer, { ok: boolean }>> {
    for (;;) {
      const { head, body } = await next(this.frames);
      this.heardAt = Date.now();
      const answer = head as Answer;
      if ("ok" in answer) return answer;
      if (!("part" in answer)) continue;
      if (!take) throw new NotAFrame("a part of an answer that has none");
      await take(body);
      this.heardAt = Date.now();
    }
  }

  private async whileHeard<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    // What it is given up for is told by whoever gives it up.
    work.catch(() => undefined);
    for (;;) {
      const leftMs = this.heardAt + this.silenceMs - Date.now();
      if (leftMs <= 0) throw slow(this.carrier.place, this.silenceMs);
      const done = await within(
        work.then((value) => ({ value })),
        leftMs,
        signal,
        () => undefined,
      );
      if (done) return done.value;
    }
  }
}

class Ended extends Error {}

async function next(frames: AsyncGenerator<Frame, void>): Promise<Frame> {
  const { value, done } = await frames.next();
  if (done || !value) throw new Ended("the other side hung up");
  return value;
}

/** Waits so long; then throws, or returns, what `late` makes. */
async function within<T, U>(work: Promise<T>, ms: number, signal: AbortSignal | undefined, late: () => U) {
  const over = new AbortController();
  const end = signal ? AbortSignal.any([signal, over.signal]) : over.signal;
  const pause = sleep(ms, end).then(
    () => {
      const instead = late();
      if (instead instanceof Error) throw instead;
      return instead;
    },
    () => {
      if (signal?.aborted) throw new AbortedError("stopped");
      return undefined;
    },
  );
  try {
    return (await Promise.race([work, pause])) as T | Exclude<U, Error>;
  } finally {
    over.abort();
    pause.catch(() => undefined);
  }
}

/** What broke a line, told so that somebody can mend it. */
async function explain(error: unknown, carrier: Carrier, doing: "begin" | "answer"): Promise<unknown> {
  if (error instanceof AbortedError || error instanceof TargetError) return error;
  const { place } = carrier;
  if (error instanceof NotAFrame && doing === "begin") {
    return new TargetError(
      "not-found",
      {
        place,
        problem: `what answers there is not \`spillway image serve\`: it says ${error.message}`,
        mend: "Let the login there print nothing when it is no terminal's (look at .bashrc), or give the command with --remote-command.",
      },
      { cause: error },
    );
  }
  const why = await carrier.whyEnded();
  if (why) return why;
  return new TargetError(
    "unreachable",
    {
      place,
      problem: `the line broke: ${messageOf(error)}`,
      mend: "Try again: what has arrived is kept.",
    },
    { cause: error },
  );
}

function requireHello(hello: Partial<Hello> | null, place: string): Hello {
  if (hello?.protocol === PROTOCOL && typeof hello.directory === "string") return hello as Hello;
  throw new TargetError("invalid", {
    place,
    problem: `the Spillway there is of version ${String(hello?.spillway)}, which speaks protocol ${String(hello?.protocol)} and not ${PROTOCOL}`,
    mend: "Install the same version of Spillway at both ends.",
  });
}

function refusal(problem: Extract<Answer, { ok: false }>["problem"], place: string): TargetError {
  const { code, mend } = problem;
  return new TargetError(code, { place: `${place}: ${problem.place}`, problem: problem.problem, mend });
}

function slow(place: string, ms: number): TargetError {
  return new TargetError("slow", {
    place,
    problem: `nothing was heard for ${Math.round(ms / 1000)} s`,
    mend: "Look at the link and at the machine there, then try again: what has arrived is kept.",
  });
}
