import { Agent } from "node:http";
import { connect, type Socket, type TcpNetConnectOpts } from "node:net";

/** A member that accepts connections does so at once; the system's own limit is minutes. */
export const CONNECT_TIMEOUT_MS = 3_000;
/** A request is given up when its member has sent nothing for so long. */
export const ANSWER_TIMEOUT_MS = 300_000;

// Without a hint a member may close a kept connection at any time; few do so within two seconds.
const IDLE_WITHOUT_HINT_MS = 2_000;
const IDLE_MAX_MS = 60_000;
const SWEEP_MS = 500;

interface MemberSocket extends Socket {
  idleLimitMs?: number;
  idleSince?: number;
}

/** A connection attempt's error, as the system reports refused ones. */
function connectTimeout(): Error {
  return Object.assign(new Error(`no connection within ${CONNECT_TIMEOUT_MS} ms`), {
    code: "ETIMEDOUT",
    syscall: "connect",
  });
}

/** Opens a connection to a member, with a deadline. Failures of it have `syscall: "connect"`. */
export function connectMember(options: TcpNetConnectOpts): Socket {
  const socket = connect({ ...options, noDelay: true });
  const timer = setTimeout(() => socket.destroy(connectTimeout()), CONNECT_TIMEOUT_MS);
  const stop = () => clearTimeout(timer);
  socket.once("connect", stop);
  socket.once("close", stop);
  return socket;
}

/** Was the connection never made, so that the member cannot have seen anything of the request? */
export function isConnectFailure(error: Error): boolean {
  return (error as NodeJS.ErrnoException).syscall === "connect" || error instanceof AggregateError;
}

/**
 * Kept-alive connections to one member. They are given up a second before the member would (its `Keep-Alive: timeout=` hint):
 * a request that crosses a member's close on the wire would fail.
 */
export class MemberAgent extends Agent {
  private readonly sweeper = setInterval(() => this.sweep(), SWEEP_MS).unref();

  constructor() {
    super({ keepAlive: true, maxFreeSockets: 256, scheduling: "lifo", timeout: ANSWER_TIMEOUT_MS });
  }

  override createConnection(options: TcpNetConnectOpts): Socket {
    return connectMember(options);
  }

  /** Learns from an answer's headers how long this connection may be kept. Once per connection. */
  learn(socket: MemberSocket, rawHeaders: readonly string[]): void {
    if (socket.idleLimitMs !== undefined) return;
    socket.idleLimitMs = IDLE_WITHOUT_HINT_MS;
    for (let index = 0; index < rawHeaders.length; index += 2) {
      if (rawHeaders[index].toLowerCase() !== "keep-alive") continue;
      const seconds = /timeout=(\d+)/.exec(rawHeaders[index + 1])?.[1];
      if (seconds !== undefined) socket.idleLimitMs = Math.min(Number(seconds) * 1_000 - 1_000, IDLE_MAX_MS);
    }
  }

  override keepSocketAlive(socket: MemberSocket): boolean {
    if ((socket.idleLimitMs ?? 0) <= 0) return false;
    socket.idleSince = performance.now();
    return true;
  }

  /** Closes the idle connections; busy ones end with their answers. */
  closeIdle(): void {
    for (const sockets of Object.values(this.freeSockets)) sockets?.forEach((socket) => socket.destroy());
  }

  end(): void {
    clearInterval(this.sweeper);
    this.closeIdle();
    // From now on no connection is kept: the last answers close theirs.
    this.keepSocketAlive = () => false;
  }

  private sweep(): void {
    const now = performance.now();
    for (const sockets of Object.values(this.freeSockets)) {
      // The sweep comes every 500 ms: what would pass its limit before the next one goes now.
      for (const socket of (sockets ?? []) as MemberSocket[]) {
        if (now - (socket.idleSince ?? 0) + SWEEP_MS > (socket.idleLimitMs ?? 0)) socket.destroy();
      }
    }
  }
}

class FreshAgent extends Agent {
  override createConnection(options: TcpNetConnectOpts): Socket {
    return connectMember(options);
  }
}

/** Connections that are used once: for a request that must not meet another stale one. */
export const freshConnections: Agent = new FreshAgent({ keepAlive: false, timeout: ANSWER_TIMEOUT_MS });
