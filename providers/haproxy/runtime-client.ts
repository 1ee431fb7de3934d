import { connect, type Socket } from "node:net";
import { AbortedError, SpillwayError } from "../../lib/errors";
import { sleep } from "../../lib/wait";

/** Where a HAProxy takes commands: a unix socket's path, or `host:port`. */
export interface RuntimeSocket {
  readonly socket: string;
  /** Put before each command: `@!PID ` speaks to one worker through the master's socket. @default "" */
  readonly prefix?: string;
}

export interface AskOptions {
  readonly signal?: AbortSignal;
  /** Milliseconds for connecting, asking and the whole answer. @default 3000 */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 3_000;
/** An answer of more than that is no table that anybody sized with care. */
const MAX_ANSWER_BYTES = 256 * 1024 * 1024;

/** HAProxy did not answer: nobody is there, or it was silent for too long. It may be asked again. */
export class RuntimeSilence extends SpillwayError {}

/** HAProxy answered, and said no. */
export class RuntimeRefusal extends SpillwayError {
  constructor(
    report: ConstructorParameters<typeof SpillwayError>[0],
    /** HAProxy's own words. */
    readonly answer: string,
  ) {
    super(report);
  }
}

/**
 * Speaks HAProxy's Runtime API (management guide, 9.3): one connection, one line of commands, one answer. A line may hold several
 * commands parted by `;`, which HAProxy performs in order even when the one who asked is gone.
 */
export class RuntimeClient {
  constructor(private readonly at: RuntimeSocket) {}

  /** The same socket, another worker behind it. */
  withPrefix(prefix: string): RuntimeClient {
    return new RuntimeClient({ ...this.at, prefix });
  }

  get socket(): string {
    return this.at.socket;
  }

  /**
   * Asks, and returns the answer without the empty lines at its end.
   * @throws RuntimeSilence when nobody answers in time
   * @throws RuntimeRefusal when the socket's level is too low for the command
   * @throws AbortedError
   */
  async ask(command: string, options: AskOptions = {}): Promise<string> {
    if (/[\n\r]/.test(command)) {
      throw new SpillwayError({
        place: this.at.socket,
        problem: `a command of more than one line was to be sent: ${JSON.stringify(command)}`,
        mend: "Names, addresses and keys must not hold line breaks.",
      });
    }
    const { prefix = "" } = this.at;
    // A master takes each command of a line for itself, unless it says otherwise.
    const line = prefix === "" ? command : command.replace(/(^|;\s*)/g, `$1${prefix}`);
    const answer = (await this.exchange(`${line}\n`, options)).trimEnd();
    // Every release says it in these words, whatever the command (cli.c).
    if (/^Permission denied/m.test(answer)) throw levelTooLow(this.at.socket, command, answer);
    return answer;
  }

  /** As {@link ask}, but gives whoever is away for a moment (a master that executes itself anew at a reload) so long to come back. */
  async askPatiently(command: string, patienceMs: number, options: AskOptions = {}): Promise<string> {
    for (const deadline = Date.now() + patienceMs; ;) {
      try {
        return await this.ask(command, options);
      } catch (error) {
        if (!(error instanceof RuntimeSilence) || Date.now() >= deadline) throw error;
      }
      await sleep(25, options.signal);
    }
  }

  /**
   * Orders something. HAProxy answers most orders with nothing; `done` matches the words of those that it acknowledges.
   * @throws RuntimeRefusal with HAProxy's words for any other answer
   */
  async order(command: string, done: RegExp = /^$/, options: AskOptions = {}): Promise<void> {
    const answer = (await this.ask(command, options)).trim();
    if (answer !== "" && !done.test(answer)) {
      throw new RuntimeRefusal(
        {
          place: this.at.socket,
          problem: `HAProxy refused \`${command}\`: ${answer.replace(/\s*\n\s*/g, " | ")}`,
          mend: "Compare the running configuration with the stanza that Spillway prints for the pool.",
        },
        answer,
      );
    }
  }

  private exchange(line: string, { signal, timeoutMs = TIMEOUT_MS }: AskOptions): Promise<string> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(new AbortedError("stopped"));
      const chunks: Buffer[] = [];
      let bytes = 0;
      const finish = (error?: Error) => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
        socket.destroy();
        if (error) reject(error);
        else resolve(Buffer.concat(chunks).toString("utf8"));
      };
      const onAbort = () => finish(new AbortedError("stopped"));
      const socket = open(this.at.socket);
      const timer = setTimeout(
        () => finish(this.silence(`it did not answer \`${line.trim()}\` within ${timeoutMs} ms`)),
        timeoutMs,
      );
      signal?.addEventListener("abort", onAbort, { once: true });
      // A master goes on listening until it hears that no more commands come.
      socket.on("connect", () => socket.end(line));
      socket.on("data", (chunk: Buffer) => {
        chunks.push(chunk);
        bytes += chunk.length;
        if (bytes > MAX_ANSWER_BYTES) finish(this.silence(`its answer to \`${line.trim()}\` has no end`));
      });
      socket.on("end", () => finish());
      socket.on("error", (error: NodeJS.ErrnoException) => finish(this.silence(reason(error), error)));
    });
  }

  private silence(problem: string, cause?: NodeJS.ErrnoException): RuntimeSilence {
    return new RuntimeSilence(
      { place: `HAProxy's socket ${this.at.socket}`, problem, mend: mendOf(cause) },
      { cause },
    );
  }
}

function open(address: string): Socket {
  if (address.includes("/")) return connect({ path: address });
  const at = address.lastIndexOf(":");
  return connect({ host: address.slice(0, at).replace(/^\[|\]$/g, ""), port: Number(address.slice(at + 1)) });
}

function reason(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case "ENOENT":
      return "there is no such socket";
    case "EACCES":
      return "this user may not open the socket";
    case "ECONNREFUSED":
      return "nobody listens at the socket";
    default:
      return error.message;
  }
}

function mendOf(cause: NodeJS.ErrnoException | undefined): string {
  switch (cause?.code) {
    case "ENOENT":
      return "Start HAProxy, and compare the path with `stats socket` in its global section (a chroot changes what HAProxy calls it).";
    case "EACCES":
      return "Give this user access: `stats socket PATH mode 660 level admin user USER group GROUP`.";
    case "ECONNREFUSED":
      return "Start HAProxy; the socket file is what an ended one left behind.";
    default:
      return "Look at HAProxy's log; a HAProxy that hangs keeps its users waiting too.";
  }
}

function levelTooLow(socket: string, command: string, answer: string): RuntimeRefusal {
  return new RuntimeRefusal(
    {
      place: `HAProxy's socket ${socket}`,
      problem: `the socket's level does not allow \`${command.split(" ").slice(0, 2).join(" ")}\``,
      mend: "Say `level admin` on its `stats socket` line in the global section, then reload HAProxy.",
    },
    answer,
  );
}
