import { AbortedError } from "../../../errors";
import type { ImageStatus, SegmentAnswer, TransferEstimate } from "../../../site/api";
import type { TakePiece, TargetCallOptions, TransferRequest, TransferState } from "../../wire/target";
import { TargetError } from "../errors";
import { Line } from "../stdio/line";
import type { Request, VerifiableTarget } from "../stdio/protocol";
import type { SshAddress } from "./address";
import type { RemoteShell } from "./command";
import { startShell } from "./process";

/** A password may have to be typed. */
const FIRST_LINE_MS = 120_000;
const LINE_MS = 60_000;

export interface SshTargetOptions extends RemoteShell {
  /** Each line that the remote shell, or the far side, writes to its standard error. @default nobody */
  readonly tell?: (line: string) => void;
}

/**
 * A directory at another machine, over `ssh` as rsync does: nothing has to run there before, ssh is the authentication. Calls at the
 * same time go over connections of their own.
 */
export class SshTarget implements VerifiableTarget {
  private readonly idle: Line[] = [];
  private readonly open = new Set<Line>();
  private readonly waiting: (() => void)[] = [];
  private opening = 0;
  private isClosed = false;
  /** More than these are not to be had: the others would have to ask for a password. */
  private most = Infinity;

  constructor(
    private readonly address: SshAddress,
    private readonly options: SshTargetOptions = {},
  ) {}

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

  /** Undefined when there will be no more than there are. */
  private async openLine(signal: AbortSignal | undefined): Promise<Line | undefined> {
    const isFirst = this.open.size + this.opening === 0;
    const { tell = () => undefined } = this.options;
    this.opening++;
    try {
      const carrier = startShell(this.address, this.options, isFirst, isFirst ? tell : () => undefined);
      const line = await Line.open(carrier, isFirst ? FIRST_LINE_MS : LINE_MS, signal);
      if (this.isClosed) line.close();
      this.open.add(line);
      return line;
    } catch (error) {
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
