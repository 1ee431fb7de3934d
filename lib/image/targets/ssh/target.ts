import { AbortedError } from "../../../errors";
import type { ImageStatus, SegmentAnswer, TransferEstimate } from "../../../site/api";
import type { TakePiece, TargetCallOptions, TransferRequest, TransferState } from "../../wire/target";
import { TargetError } from "../errors";
import { Line } from "../stdio/line";
import type { Request, VerifiableTarget } from "../stdio/protocol";
import type { SshAddress } from "./address";
import type { RemoteShell } from "./command";
import { canForward, NoForwarding, openForwarded } from "./forward";
import { startShell } from "./process";

/** A password may have to be typed. */
const FIRST_LINE_MS = 120_000;
const LINE_MS = 60_000;
/** Where no stream can be forwarded each is a process of Node's at the far side. */
export const MOST_PROCESSES = 4;

export interface SshTargetOptions extends RemoteShell {
  /** Each line that the remote shell, or the far side, writes to its standard error, and what is slower than it need be. @default nobody */
  readonly tell?: (line: string) => void;
}

/**
 * A directory at another machine, over `ssh` as rsync does: nothing has to run there before, ssh is the authentication. Calls at the
 * same time go over connections of their own: the first has a process of Spillway's at the far side, and the others are forwarded to
 * that. Where they cannot be, each has a process of its own, and there are at most {@link MOST_PROCESSES}.
 */
export class SshTarget implements VerifiableTarget {
  private readonly idle: Line[] = [];
  private readonly open = new Set<Line>();
  private readonly waiting: (() => void)[] = [];
  private opening = 0;
  private isClosed = false;
  /** More than these are not to be had: the others would have to ask for a password, or would each be a process. */
  private most = Infinity;
  /** Of which others are streams: it has the far side's process. */
  private first: Line | undefined;
  private beginning: Promise<Line | undefined> | undefined;
  /** The one whose others cannot be forwarded: another far side is asked anew. */
  private alone: Line | undefined;
  private readonly mayForward: () => Promise<boolean>;
  private hasToldOfFew = false;

  constructor(
    private readonly address: SshAddress,
    private readonly options: SshTargetOptions = {},
  ) {
    let asked: Promise<boolean> | undefined;
    this.mayForward = () => (asked ??= canForward(address, options));
  }

  /**
   * Connects, so that a wrong host, key or command is found before anything is begun.
   * @returns the directory there
   */
  async connect(signal?: AbortSignal): Promise<string> {
    const line = await this.take(signal);
    this.give(line);
    return line.hello.directory;
  }

  /** Hangs up. */
  close(): void {
    this.isClosed = true;
    for (const line of this.open) line.close();
    this.open.clear();
    this.idle.length = 0;
  }

  async openTransfer(
    id: string,
    request: TransferRequest,
    options?: TargetCallOptions,
  ): Promise<TransferState> {
    return (await this.ask({ ask: "open", id, request }, options)) as TransferState;
  }

  async putSegment(
    id: string,
    segmentId: string,
    segment: Uint8Array,
    options?: TargetCallOptions,
  ): Promise<SegmentAnswer> {
    return (await this.ask({ ask: "segment", id, segmentId }, options, segment)) as SegmentAnswer;
  }

  async completeTransfer(id: string, digest: string, options?: TargetCallOptions): Promise<ImageStatus> {
    return (await this.ask({ ask: "complete", id, digest }, options)) as ImageStatus;
  }

  async fetchIndex(digest: string, take: TakePiece, options?: TargetCallOptions): Promise<boolean> {
    const request: Request = { ask: "index", digest };
    return (await this.onALine((line) => line.ask(request, undefined, options, take), options)) === true;
  }

  /** Not pinned: Terraform, which asks twice, asks sites. */
  pinEstimate(_digest: string, estimate: TransferEstimate): Promise<TransferEstimate> {
    return Promise.resolve(estimate);
  }

  async verify(digest: string, signal?: AbortSignal): Promise<ImageStatus> {
    return (await this.ask({ ask: "verify", digest }, { signal })) as ImageStatus;
  }

  private async ask(request: Request, options?: TargetCallOptions, bytes?: Uint8Array): Promise<unknown> {
    return this.onALine((line) => line.ask(request, bytes, options), options);
  }

  private async onALine<T>(use: (line: Line) => Promise<T>, options?: TargetCallOptions): Promise<T> {
    const line = await this.take(options?.signal);
    try {
      return await use(line);
    } finally {
      this.give(line);
    }
  }

  private async take(signal: AbortSignal | undefined): Promise<Line> {
    for (;;) {
      if (signal?.aborted) throw new AbortedError("stopped");
      if (this.isClosed) throw new Error("the target was closed");
      const line = this.idle.pop();
      if (line?.isUsable) return line;
      if (line) {
        this.open.delete(line);
        continue;
      }
      if (this.open.size + this.opening < this.most) {
        const opened = await this.openLine(signal);
        if (opened) return opened;
      } else await this.turn(signal);
    }
  }

  /** Undefined when it is to be looked again: others have opened one, or there will be no more than there are. */
  private async openLine(signal: AbortSignal | undefined): Promise<Line | undefined> {
    const { first } = this;
    if (first?.isUsable) return this.openStream(first, signal);
    if (this.beginning) {
      await this.others(this.beginning, signal);
      return undefined;
    }
    this.beginning = this.begin(signal);
    try {
      return await this.beginning;
    } finally {
      this.beginning = undefined;
    }
  }

  /** Waits for a line that another call opens: what is wrong with it is wrong for all. */
  private async others(beginning: Promise<unknown>, signal: AbortSignal | undefined): Promise<void> {
    try {
      await untilAborted(beginning, signal);
    } catch (error) {
      // The other call was stopped, and not this one.
      if (error instanceof AbortedError && !signal?.aborted) return;
      throw error;
    }
  }

  private async begin(signal: AbortSignal | undefined): Promise<Line | undefined> {
    const line = await this.opened((mayAsk) => this.openProcess(mayAsk, signal));
    if (line) {
      this.first = line;
      this.most = Infinity;
    }
    return line;
  }

  private async openStream(first: Line, signal: AbortSignal | undefined): Promise<Line | undefined> {
    const offer = first.hello.streams;
    if (offer && this.alone !== first && (await this.mayForward())) {
      try {
        const open = () => openForwarded(this.address, this.options, offer, LINE_MS, signal);
        return await this.opened(open);
      } catch (error) {
        if (!(error instanceof NoForwarding)) throw error;
        // If it is gone, so is the socket: that says nothing of what is forbidden there.
        if (!first.isUsable) return undefined;
      }
    }
    if (offer) this.tellOfFew();
    this.alone = first;
    this.most = Math.min(this.most, MOST_PROCESSES);
    if (this.open.size + this.opening >= this.most) return undefined;
    return this.opened((mayAsk) => this.openProcess(mayAsk, signal));
  }

  private tellOfFew(): void {
    if (this.hasToldOfFew) return;
    this.hasToldOfFew = true;
    this.options.tell?.(
      `at most ${MOST_PROCESSES} streams are used: the sshd there (AllowStreamLocalForwarding), or ssh as it is configured here, forwards no others`,
    );
  }

  private openProcess(mayAsk: boolean, signal: AbortSignal | undefined): Promise<Line> {
    const { tell = () => undefined } = this.options;
    const carrier = startShell(this.address, this.options, mayAsk, mayAsk ? tell : () => undefined);
    return Line.open(carrier, mayAsk ? FIRST_LINE_MS : LINE_MS, signal);
  }

  /** Undefined when there will be no more than there are. */
  private async opened(open: (mayAsk: boolean) => Promise<Line>): Promise<Line | undefined> {
    const mayAsk = this.open.size + this.opening === 0;
    this.opening++;
    try {
      const line = await open(mayAsk);
      if (this.isClosed) line.close();
      this.open.add(line);
      return line;
    } catch (error) {
      // There is room for another one who waits.
      this.waiting.shift()?.();
      const others = this.open.size;
      if (error instanceof TargetError && error.code === "unauthorized" && others > 0) {
        this.most = others;
        return undefined;
      }
      throw error;
    } finally {
      this.opening--;
    }
  }

  private give(line: Line): void {
    if (line.isUsable && !this.isClosed) this.idle.push(line);
    else this.open.delete(line);
    if (this.open.size === 0) this.most = Infinity;
    this.waiting.shift()?.();
  }

  private turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const onAbort = () => {
        this.waiting.splice(this.waiting.indexOf(onTurn), 1);
        // The one who waited finds out himself that he was stopped.
        resolve();
      };
      const onTurn = () => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      };
      this.waiting.push(onTurn);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }
}

async function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  let stop: () => void = () => undefined;
  const stopped = new Promise<never>((_, reject) => (stop = () => reject(new AbortedError("stopped"))));
  signal.addEventListener("abort", stop, { once: true });
  try {
    return await Promise.race([work, stopped]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
