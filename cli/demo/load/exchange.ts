import { Agent, request, type IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { FailureReason } from "./options";

/** A request that got no good answer, and whether RFC 9110 9.2.2 lets the client send it again. */
export class ExchangeError extends Error {
  constructor(
    readonly reason: FailureReason,
    detail: string,
    readonly mayRetry = false,
  ) {
    super(detail);
  }
}

export interface Answer {
  readonly status: number;
  readonly body: string;
  readonly setCookies: readonly string[];
  /** The server closes the connection after this answer. */
  readonly closes: boolean;
}

export interface Exchange {
  readonly address: string;
  readonly port: number;
  readonly path: string;
  readonly host: string;
  readonly cookie: string;
  readonly localAddress: string | undefined;
  readonly timeoutMs: number;
}

/** One connection that is kept for many requests, one at a time. */
export class KeptConnection {
  private readonly agent = new Agent({ keepAlive: true, maxSockets: 1 });
  private socket: Socket | undefined;
  /** False from the moment the server closed it, or said that it will. */
  open = true;
  busy = false;

  constructor(readonly address: string) {}

  async send(exchange: Exchange): Promise<Answer> {
    this.busy = true;
    try {
      const answer = await exchangeOnce(exchange, this.agent, (socket) => this.watch(socket));
      if (answer.closes) this.open = false;
      return answer;
    } catch (error) {
      this.open = false;
      throw error;
    } finally {
      this.busy = false;
    }
  }

  close(): void {
    this.open = false;
    this.agent.destroy();
  }

  private watch(socket: Socket): void {
    if (this.socket === socket) return;
    this.socket = socket;
    const left = () => {
      this.open = false;
    };
    socket.once("end", left);
    socket.once("close", left);
  }
}

/** A request on a connection of its own. */
export function sendOnce(exchange: Exchange): Promise<Answer> {
  return exchangeOnce(exchange, false, () => undefined);
}

function exchangeOnce(
  exchange: Exchange,
  agent: Agent | false,
  onSocket: (socket: Socket) => void,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let bytesBefore = 0;
    let socket: Socket | undefined;
    let settled = false;
    const settle = (finish: () => void) => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      finish();
    };
    const fail = (error: ExchangeError) =>
      settle(() => {
        reject(error);
        outgoing.destroy();
      });

    const outgoing = request({
      agent,
      host: exchange.address,
      port: exchange.port,
      path: exchange.path,
      method: "GET",
      localAddress: exchange.localAddress,
      headers: { host: exchange.host, ...(exchange.cookie === "" ? {} : { cookie: exchange.cookie }) },
    });
    const timer = setTimeout(
      () => fail(new ExchangeError("timed-out", `no answer in ${exchange.timeoutMs} ms`)),
      Math.max(1, exchange.timeoutMs),
    );
    outgoing.on("socket", (given) => {
      socket = given;
      bytesBefore = given.bytesRead;
      onSocket(given);
    });
    outgoing.on("error", (error: NodeJS.ErrnoException) => {
      const silent = (socket?.bytesRead ?? 0) === bytesBefore;
      const reason = error.code === "ECONNREFUSED" ? "refused" : "reset";
      fail(
        new ExchangeError(
          reason,
          `${error.code ?? error.name}: ${error.message}`,
          outgoing.reusedSocket && silent,
        ),
      );
    });
    outgoing.on("response", (incoming) => readAnswer(incoming, (finish) => settle(finish), resolve, fail));
    outgoing.end();
  });
}

function readAnswer(
  incoming: IncomingMessage,
  settle: (finish: () => void) => void,
  resolve: (answer: Answer) => void,
  fail: (error: ExchangeError) => void,
): void {
  const chunks: Buffer[] = [];
  incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
  incoming.on("error", (error) =>
    fail(new ExchangeError("cut-off", `the answer broke off: ${error.message}`)),
  );
  incoming.on("close", () => {
    if (!incoming.complete) fail(new ExchangeError("cut-off", "the answer broke off"));
  });
  incoming.on("end", () => {
    if (!incoming.complete) return;
    settle(() =>
      resolve({
        status: incoming.statusCode ?? 0,
        body: Buffer.concat(chunks).toString("utf8"),
        setCookies: incoming.headers["set-cookie"] ?? [],
        closes: incoming.headers.connection?.toLowerCase() === "close",
      }),
    );
  });
}
